"""VICReg against the formula of Bardes, Ponce & LeCun 2022 written out longhand, and against lightly's loss."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from headstart.contracts.objective import TARGET, TARGET_AGAIN
from headstart.objectives.vicreg import Vicreg
from two_views import two_views

INVARIANCE, VARIANCE, COVARIANCE = 3.0, 5.0, 0.7


def embeddings() -> tuple[Tensor, Tensor]:
    """Two views (6, 4), some of whose features vary by less and some by more than 1."""
    torch.manual_seed(0)
    scale = torch.tensor([0.2, 0.9, 1.5, 3.0], dtype=torch.float64)
    one = torch.randn(6, 4, dtype=torch.float64) * scale
    return one.requires_grad_(), (one + 0.4 * torch.randn_like(one)).detach().requires_grad_()


def longhand(one: Tensor, other: Tensor) -> Tensor:
    """The formula, entry by entry."""
    examples, width = one.shape
    invariance = sum((one[i, j] - other[i, j]) ** 2 for i in range(examples) for j in range(width))
    total = INVARIANCE * invariance / (examples * width)
    for view in (one, other):
        means = [sum(view[i, j] for i in range(examples)) / examples for j in range(width)]
        for j in range(width):
            for k in range(width):
                covariance = sum((view[i, j] - means[j]) * (view[i, k] - means[k]) for i in range(examples))
                covariance = covariance / (examples - 1)
                if j == k:
                    short = 1 - (covariance + 1e-4) ** 0.5
                    total = total + VARIANCE / 2 * (short if short > 0 else 0 * short) / width
                else:
                    total = total + COVARIANCE * covariance**2 / width
    return total


def ours(one: Tensor, other: Tensor) -> Tensor:
    """The objective's sum on given embeddings: its expander is left out."""
    objective = Vicreg(invariance=INVARIANCE, variance=VARIANCE, covariance=COVARIANCE, width=4)
    step = two_views(objective)
    step.additions["expander"] = torch.nn.Identity()
    found = {id(step.batches[TARGET]): one, id(step.batches[TARGET_AGAIN]): other}
    object.__setattr__(step, "features", lambda batch: _Pooled(found[id(batch)]))
    loss = objective.combine(objective.losses(step), [])
    assert loss is not None
    return loss


class _Pooled:
    def __init__(self, pooled: Tensor) -> None:
        self.pooled = pooled


def test_loss_and_gradients_are_those_of_the_formula() -> None:
    one, other = embeddings()
    expected, found = longhand(one, other), ours(one, other)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    gradients = torch.autograd.grad(expected, [one, other])
    torch.testing.assert_close(torch.autograd.grad(found, [one, other]), gradients, rtol=1e-10, atol=1e-12)


def test_lightly_finds_the_same_loss_and_gradients() -> None:
    lightly = pytest.importorskip("lightly.loss", reason="lightly is not installed: pip install 'headstart[bench]'")
    one, other = embeddings()
    expected = lightly.VICRegLoss(INVARIANCE, VARIANCE, COVARIANCE)(one, other)
    found = ours(one, other)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    gradients = torch.autograd.grad(expected, [one, other])
    torch.testing.assert_close(torch.autograd.grad(found, [one, other]), gradients, rtol=1e-10, atol=1e-12)


def test_features_that_stand_still_cost_the_whole_variance_term_and_have_a_gradient() -> None:
    still = torch.ones(6, 4, dtype=torch.float64, requires_grad=True)
    loss = ours(still, still)
    assert loss.item() == pytest.approx(VARIANCE * (1 - math.sqrt(1e-4)))
    assert bool(torch.isfinite(torch.autograd.grad(loss, still)[0]).all())


def test_both_views_go_through_backbone_and_expander() -> None:
    objective = Vicreg(width=6)
    step = two_views(objective)
    objective.combine(objective.losses(step), []).backward()  # type: ignore[union-attr]
    moved = [*step.backbone.module.parameters(), *step.additions.parameters()]
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in moved)
