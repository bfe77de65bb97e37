"""NT-Xent against equation 1 of Chen et al. 2020 written out longhand, gradients included, and against lightly."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from headstart.contracts.carriers import Batch, State
from headstart.objectives.simclr import SimCLR, nt_xent
from two_views import two_views

TEMPERATURE = 0.3


def embeddings(number: int = 5) -> tuple[Tensor, Tensor]:
    """Two views (number, 4) of unlike lengths."""
    torch.manual_seed(0)
    one = torch.randn(number, 4, dtype=torch.float64) * torch.rand(number, 1, dtype=torch.float64) * 5
    return one.requires_grad_(), (one + torch.randn_like(one)).detach().requires_grad_()


def longhand(one: Tensor, other: Tensor) -> Tensor:
    """The equation, view by view."""
    views = [*one, *other]
    number, total = len(one), torch.zeros((), dtype=torch.float64)
    for i, view in enumerate(views):
        partner = (i + number) % (2 * number)
        similar = {
            k: math.e ** ((view @ views[k]) / (view.norm() * views[k].norm()) / TEMPERATURE)
            for k in range(2 * number)
            if k != i
        }
        total = total - torch.log(similar[partner] / sum(similar.values()))
    return total / (2 * number)


def test_value_and_gradients_are_those_of_the_equation() -> None:
    one, other = embeddings()
    expected = longhand(one, other)
    wanted = torch.autograd.grad(expected, [one, other])
    found = nt_xent(one, other, TEMPERATURE)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found, [one, other]), wanted)


def test_lightly_finds_the_same() -> None:
    loss = pytest.importorskip("lightly.loss", reason="lightly is not installed")
    one, other = embeddings()
    theirs = loss.NTXentLoss(temperature=TEMPERATURE)(one, other)
    torch.testing.assert_close(nt_xent(one, other, TEMPERATURE), theirs, rtol=1e-6, atol=1e-7)


def test_the_objective_is_the_loss_of_its_projections() -> None:
    objective = SimCLR(temperature=TEMPERATURE, hidden=6, width=4)
    step = two_views(objective)
    both = Batch(State(torch.cat([batch.state.hidden for batch in step.batches.values()])), {}, torch.arange(24))
    one, other = step.additions["projector"](step.features(both).pooled).chunk(2)
    loss = objective.combine(objective.losses(step), [])
    assert loss is not None
    torch.testing.assert_close(loss, longhand(one, other))


def test_every_view_of_another_example_is_a_negative() -> None:
    same = torch.ones(6, 3, dtype=torch.float64)
    assert nt_xent(same, same, TEMPERATURE).item() == pytest.approx(math.log(11))
