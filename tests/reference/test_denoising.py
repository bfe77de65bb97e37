"""Denoising against its formula written out longhand, number by number."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from headstart.backbones.table_features import TableFeatures
from headstart.backbones.table_mlp import TableMlp
from headstart.contracts.carriers import Batch, State
from headstart.contracts.objective import TARGET, Step
from headstart.kernel.errors import BackboneError, SettingsError
from headstart.kernel.randomness import draw_seed
from headstart.objectives.denoising import Denoising
from two_views import step_of

OBJECTIVE = Denoising(rate=0.4, hidden=5)
ROWS, COLUMNS, SEED = 9, 3, 4


@pytest.fixture
def step() -> Step:
    """Columns of very different units, the last of 0 and 1; in float64, in training mode."""
    backbone = TableMlp(columns=COLUMNS, width=6, depth=2, dropout=0.0).load()
    torch.manual_seed(0)
    additions = nn.ModuleDict(dict(OBJECTIVE.additions(backbone))).double()
    backbone.module.double().train()
    rows = torch.randn(ROWS, COLUMNS, dtype=torch.float64) * torch.tensor([1.0, 1e4, 1.0])
    rows[:, 2] = (rows[:, 2] > 0).double()
    batch = Batch(State(rows), {}, torch.arange(20, 20 + ROWS))
    return step_of({TARGET: batch}, backbone, additions, seed=SEED)


def swapped(rows: Tensor) -> Tensor:
    """The rows with the numbers that the draws of the step say swapped."""
    draws = [np.random.default_rng(draw_seed(SEED, "numbers swapped", 20 + row)) for row in range(ROWS)]
    chosen = np.stack([own.random(COLUMNS) < 0.4 for own in draws])
    others = np.stack([own.integers(ROWS, size=COLUMNS) for own in draws])
    noisy = rows.clone()
    for i, j in zip(*np.nonzero(chosen)):
        noisy[i, j] = rows[others[i, j], j]
    return noisy


def longhand(step: Step) -> dict[str, Tensor]:
    rows, additions = step.batches[TARGET].state.hidden, step.additions
    noisy = swapped(rows)
    vectors = step.backbone.module(noisy)
    decoded, found = additions["decoder"](vectors), additions["finder"](vectors)
    values, flags = [], []
    for j in range(COLUMNS):
        mean = sum(rows[:, j]) / ROWS
        deviation = (sum((rows[:, j] - mean) ** 2) / ROWS + 1e-5) ** 0.5
        for i in range(ROWS):
            off = abs(decoded[i, j] - (rows[i, j] - mean) / deviation)
            values.append(0.5 * off**2 if off < 1 else off - 0.5)
            chance = torch.sigmoid(found[i, j])
            flags.append(-torch.log(chance if noisy[i, j] != rows[i, j] else 1 - chance))
    return {"values": torch.stack(values).mean(), "swapped": torch.stack(flags).mean()}


def test_losses_and_gradients_are_those_of_the_formula(step: Step) -> None:
    moved = [*step.backbone.module.parameters(), *step.additions.parameters()]
    expected, found = longhand(step), OBJECTIVE.losses(step)
    assert found.keys() == expected.keys()
    for name, loss in found.items():
        torch.testing.assert_close(loss, expected[name], rtol=1e-10, atol=0)
        gradients = torch.autograd.grad(expected[name], moved, retain_graph=True, allow_unused=True)
        ours = torch.autograd.grad(loss, moved, retain_graph=True, allow_unused=True)
        for one, other in zip(gradients, ours):
            assert (one is None) == (other is None)
            if one is not None:
                torch.testing.assert_close(other, one, rtol=1e-7, atol=1e-9)


def test_swapped_numbers_come_from_their_own_column(step: Step) -> None:
    rows = step.batches[TARGET].state.hidden
    noisy = swapped(rows)
    assert bool((noisy != rows).any())
    assert all(set(noisy[:, j].tolist()) <= set(rows[:, j].tolist()) for j in range(COLUMNS))


def test_what_has_no_weights_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"table_features has no weights to train\. Use --backbone table_mlp"):
        OBJECTIVE.check(TableFeatures(columns=3).load())


def test_the_network_reads_columns_of_any_unit_once_it_has_seen_some() -> None:
    backbone = TableMlp(columns=2, width=4, depth=1, clip=0.0).load()
    rows = State(torch.tensor([[1.0, 1e6], [3.0, 3e6], [2.0, 2e6], [4.0, 4e6]]))
    scale = backbone.module.get_submodule("0.0")
    backbone.module.train()
    for _ in range(200):
        backbone.segment(0, 1)(rows)
    backbone.module.eval()
    standardised = scale(rows.hidden)
    torch.testing.assert_close(standardised[:, 0], standardised[:, 1], rtol=1e-3, atol=1e-3)
    assert math.isclose(float(standardised[:, 0].var(unbiased=True)), 1.0, rel_tol=0.01)


def test_a_network_that_has_learnt_nothing_is_settled_by_rows_and_sees_their_columns_alike() -> None:
    rows = np.array([[1.0, 1e6], [3.0, 3e6], [2.0, 2e6], [4.0, 4e6]])
    backbone = TableMlp(columns=2, width=4, depth=1, clip=0.0).load()
    backbone.settle(list(rows))
    seen = backbone.module.get_submodule("0.0")(torch.tensor(rows, dtype=torch.float32))
    expected = torch.tensor((rows - rows.mean(0)) / rows.std(0, ddof=1), dtype=torch.float32)
    torch.testing.assert_close(seen, expected, rtol=1e-4, atol=1e-4)


def test_it_says_that_there_are_no_pretrained_weights() -> None:
    with pytest.raises(BackboneError, match="no pretrained weights for table_mlp: add --weights random"):
        TableMlp(columns=2, weights="pretrained").load()
