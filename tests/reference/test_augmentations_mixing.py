"""Mixing against its longhand: soft labels, the authors' boxes, and what the tasks' losses make of both."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from headstart.augmentations.cutmix import Cutmix
from headstart.augmentations.manifold_mixup import ManifoldMixup
from headstart.augmentations.mixup import Mixup
from headstart.contracts.augmentation import mixed_losses
from headstart.contracts.carriers import Batch, State
from headstart.contracts.placed_targets import ClassMaps
from headstart.contracts.target_kinds import CLASS_IDS, VALUES
from headstart.tasks.classification.task import Classification
from headstart.tasks.regression.task import Regression

KINDS = {"label": CLASS_IDS, "mask": ClassMaps()}
SEEDS = [[11, 5, 2**62, 7], [1, 2, 3, 4], [9, 9, 8, 8]]
every_seeds = pytest.mark.parametrize("seeds", SEEDS, ids=["a", "b", "c"])


def batch_of(targets: dict[str, Tensor], side: int = 16) -> Batch:
    images = torch.randn(4, 3, side, side + 4, generator=torch.Generator().manual_seed(0))
    return Batch(State(images), targets, torch.arange(4))


@every_seeds
def test_mixup_is_the_papers_formula(seeds: list[int]) -> None:
    batch = batch_of({"label": torch.tensor([0, 1, 2, 1])})
    mixed = Mixup(alpha=0.4).mix(batch, seeds, KINDS)
    draws = np.random.default_rng(seeds)
    own, rows = draws.beta(0.4, 0.4), draws.permutation(4)
    assert mixed.mixed is not None
    assert mixed.mixed.weight == pytest.approx(own)
    assert mixed.mixed.targets["label"].tolist() == batch.targets["label"][rows].tolist()
    assert mixed.targets["label"].tolist() == [0, 1, 2, 1]
    torch.testing.assert_close(mixed.state.hidden, own * batch.state.hidden + (1 - own) * batch.state.hidden[rows])


@every_seeds
def test_the_share_that_stays_has_the_beta_distribution(seeds: list[int]) -> None:
    batch = batch_of({})
    weights = [Mixup(alpha=0.5).mix(batch, [seed + k for seed in seeds], KINDS).mixed.weight for k in range(400)]  # type: ignore[union-attr]
    assert np.mean(weights) == pytest.approx(0.5, abs=0.06)
    assert np.var(weights) == pytest.approx(1 / 8, abs=0.02)  # of Beta(a, a): 1 / (4 (2 a + 1))


@every_seeds
def test_mixup_loss_and_gradient_equal_cross_entropy_with_soft_labels(seeds: list[int]) -> None:
    labels = torch.tensor([0, 1, 2, 1])
    mixed = Mixup(alpha=1.0).mix(batch_of({"label": labels}), seeds, KINDS)
    task = Classification().restore({"classes": ("a", "b", "c"), "counts": (1, 2, 1)})
    logits = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    found = mixed_losses(task.losses)({"logits": logits}, mixed)["cross_entropy"]
    assert mixed.mixed is not None
    one_hot, own = functional.one_hot(labels, 3).double(), mixed.mixed.weight
    soft = own * one_hot + (1 - own) * functional.one_hot(mixed.mixed.targets["label"], 3)
    expected = functional.cross_entropy(logits, soft)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found, logits), torch.autograd.grad(expected, logits))


@every_seeds
def test_mixup_of_quantities_has_the_gradient_of_the_mixed_quantity(seeds: list[int]) -> None:
    values = torch.tensor([1.0, -2.0, 5.0, 0.5], dtype=torch.float64)
    mixed = Mixup(alpha=1.0).mix(batch_of({"label": values}), seeds, {"label": VALUES})
    task = Regression().restore({"mean": 1.0, "scale": 2.0})
    standard = torch.randn(4, dtype=torch.float64, requires_grad=True)
    found = mixed_losses(task.losses)({"standard": standard}, mixed)["squared_error"]
    assert mixed.mixed is not None
    truth = mixed.mixed.weight * values + (1 - mixed.mixed.weight) * mixed.mixed.targets["label"]
    expected = functional.mse_loss(standard, (truth - 1.0) / 2.0)
    torch.testing.assert_close(torch.autograd.grad(found, standard), torch.autograd.grad(expected, standard))


def test_a_batch_that_is_not_mixed_keeps_its_loss() -> None:
    task = Classification().restore({"classes": ("a", "b"), "counts": (1, 1)})
    outputs, batch = {"logits": torch.randn(4, 2)}, batch_of({"label": torch.tensor([0, 1, 0, 1])})
    assert torch.equal(
        mixed_losses(task.losses)(outputs, batch)["cross_entropy"],
        task.losses(outputs, batch.targets)["cross_entropy"],
    )


def authors_box(height: int, width: int, share: float, middle: tuple[int, int]) -> tuple[int, int, int, int]:
    """`rand_bbox` of the CutMix authors' code, for a given middle."""
    cut_height, cut_width = int(height * np.sqrt(1 - share)), int(width * np.sqrt(1 - share))
    top, bottom = np.clip([middle[0] - cut_height // 2, middle[0] + cut_height // 2], 0, height)
    left, right = np.clip([middle[1] - cut_width // 2, middle[1] + cut_width // 2], 0, width)
    return int(top), int(bottom), int(left), int(right)


@every_seeds
def test_cutmix_is_the_authors_code(seeds: list[int]) -> None:
    batch = batch_of({"label": torch.tensor([0, 1, 2, 1])})
    mixed = Cutmix().mix(batch, seeds, KINDS)
    draws = np.random.default_rng(seeds)
    share, rows = draws.beta(1.0, 1.0), draws.permutation(4)
    top, bottom, left, right = authors_box(16, 20, share, tuple(draws.integers((16, 20)).tolist()))
    expected = batch.state.hidden.clone()
    expected[:, :, top:bottom, left:right] = batch.state.hidden[rows, :, top:bottom, left:right]
    assert torch.equal(mixed.state.hidden, expected)
    assert mixed.mixed is not None
    assert mixed.mixed.weight == pytest.approx(1 - (bottom - top) * (right - left) / (16 * 20))
    assert mixed.mixed.targets["label"].tolist() == batch.targets["label"][rows].tolist()


@every_seeds
def test_cutmix_pastes_class_maps_as_it_pastes_pictures(seeds: list[int]) -> None:
    maps = torch.arange(4)[:, None, None].expand(4, 16, 20).contiguous()
    batch = Batch(State(maps[:, None].float().expand(4, 3, 16, 20).contiguous()), {"mask": maps}, torch.arange(4))
    mixed = Cutmix().mix(batch, seeds, KINDS)
    assert mixed.mixed is None
    assert torch.equal(mixed.targets["mask"], mixed.state.hidden[:, 0].long())
    assert not torch.equal(mixed.targets["mask"], maps)


@every_seeds
def test_manifold_mixup_mixes_every_tensor_of_a_state_alike(seeds: list[int]) -> None:
    hidden, tap = torch.randn(4, 6), torch.randn(4, 2, 5)
    batch = Batch(State(hidden, {}, {"stage1.map": tap}), {"label": torch.arange(4)}, torch.arange(4))
    mixed = ManifoldMixup().mix(batch, seeds, KINDS)
    assert mixed.mixed is not None
    own, rows = mixed.mixed.weight, mixed.mixed.targets["label"]
    torch.testing.assert_close(mixed.state.hidden, own * hidden + (1 - own) * hidden[rows])
    torch.testing.assert_close(mixed.state.taps["stage1.map"], own * tap + (1 - own) * tap[rows])
