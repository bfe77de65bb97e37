"""BYOL against Grill et al. 2020 written out longhand, gradients and the moving target included; and lightly."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor

from headstart.contracts.objective import TARGET, TARGET_AGAIN, Step
from headstart.objectives.byol import Byol, distance
from two_views import two_views

OBJECTIVE = Byol(hidden=6, width=5, momentum=0.9)


def shaken_step(progress: float = 0.0) -> Step:
    """A step whose target is no longer what the network is."""
    step = two_views(OBJECTIVE, progress=progress)
    with torch.no_grad():
        for parameter in step.additions["target"].parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return step


def longhand(step: Step) -> Tensor:
    """Sum over both orders of the mean of |q/|q| - z'/|z'||^2."""
    additions, network = step.additions, step.backbone.module
    total = torch.zeros((), dtype=torch.float64)
    for online, slow in ((TARGET, TARGET_AGAIN), (TARGET_AGAIN, TARGET)):
        projected = additions["projector"](network(step.batches[online].state.hidden))
        predicted = additions["predictor"](projected)
        with torch.no_grad():
            target = additions["target"]
            wanted = target.projector(target.backbone(step.batches[slow].state.hidden))
        for q, z in zip(predicted, wanted):
            q, z = q / q.square().sum().sqrt(), z / z.square().sum().sqrt()
            total = total + (q - z).square().sum() / len(predicted)
    return total


def test_loss_and_gradients_are_those_of_the_formula() -> None:
    step = shaken_step()
    moved = [*step.backbone.module.parameters(), *step.additions["projector"].parameters()]
    moved += step.additions["predictor"].parameters()
    expected = longhand(step)
    found = OBJECTIVE.losses(step)["agreement"]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    gradients = torch.autograd.grad(expected, moved)
    torch.testing.assert_close(torch.autograd.grad(found, moved), gradients, rtol=1e-9, atol=1e-12)


def test_the_target_takes_no_gradient() -> None:
    step = shaken_step()
    OBJECTIVE.losses(step)["agreement"].backward()
    assert all(p.grad is None and not p.requires_grad for p in step.additions["target"].parameters())


@pytest.mark.parametrize("progress", [0.0, 0.5, 0.99])
def test_the_target_follows_with_a_momentum_that_rises_along_half_a_cosine(progress: float) -> None:
    step = shaken_step(progress)
    target = step.additions["target"]
    before = copy.deepcopy(target.state_dict())
    OBJECTIVE.after_step(step)
    slow = 1 - (1 - 0.9) * (math.cos(math.pi * progress) + 1) / 2
    live = {f"backbone.{name}": p for name, p in step.backbone.module.named_parameters()}
    live |= {f"projector.{name}": p for name, p in step.additions["projector"].named_parameters()}
    for name, value in target.named_parameters():
        torch.testing.assert_close(value.detach(), slow * before[name] + (1 - slow) * live[name].detach())


def test_the_target_begins_as_the_network_and_rests_where_that_rests() -> None:
    step = two_views(OBJECTIVE)
    target, network = step.additions["target"], step.backbone.module
    assert all(torch.equal(a, b) for a, b in zip(target.backbone.parameters(), network.parameters()))
    network[0].eval()
    statistics = target.backbone[0][1].running_mean.clone(), target.backbone[1][1].running_mean.clone()
    OBJECTIVE.losses(step)
    assert torch.equal(target.backbone[0][1].running_mean, statistics[0])
    assert not torch.equal(target.backbone[1][1].running_mean, statistics[1])


def test_lightly_finds_the_same_distance_and_gradients() -> None:
    lightly = pytest.importorskip("lightly.loss", reason="lightly is not installed: pip install 'headstart[bench]'")
    torch.manual_seed(0)
    predictions = torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
    wanted = torch.randn(7, 5, dtype=torch.float64)
    expected = 2 + 2 * lightly.NegativeCosineSimilarity()(predictions, wanted)
    found = distance(predictions, wanted)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    gradients = torch.autograd.grad(expected, predictions)
    torch.testing.assert_close(torch.autograd.grad(found, predictions), gradients, rtol=1e-10, atol=1e-12)
