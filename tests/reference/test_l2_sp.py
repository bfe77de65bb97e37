"""L2-SP against the formula of Li, Grandvalet & Davoine 2018 written out longhand, gradients included."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from headstart.contracts.carriers import Batch, State
from headstart.contracts.features import Features
from headstart.contracts.objective import Step
from headstart.objectives.l2_sp import L2SP
from tiny_backbone import TinyBackbone

ALPHA, BETA = 0.3, 0.07


@pytest.fixture
def step() -> Step:
    torch.manual_seed(0)
    backbone, head = nn.Linear(3, 4).double(), nn.Linear(4, 2).double()
    named = {f"backbone.{name}": p for name, p in backbone.named_parameters()}
    named |= {f"heads.head.{name}": p for name, p in head.named_parameters()}
    named["additions.critic"] = nn.Parameter(torch.randn(3).double())
    start = {name: p.detach().clone() for name, p in named.items()}
    with torch.no_grad():
        for p in named.values():
            p.add_(torch.randn_like(p))
    batch = Batch(State(torch.randn(5, 3).double()), {"label": torch.tensor([0, 1, 1, 0, 1])}, torch.arange(5))
    return Step(
        {"source": batch},
        lambda given: Features(backbone(given.state.hidden).relu()),
        TinyBackbone(),
        lambda features, _: {"logits": head(features.pooled)},
        lambda outputs, given: {"ce": nn.functional.cross_entropy(outputs["logits"], given.targets["label"])},
        nn.ModuleDict(),
        0.0,
        named,
        start,
    )


def longhand(step: Step) -> tuple[float, dict[str, Tensor]]:
    """Loss and gradients: those of the task, alpha (w - w0) for the backbone and beta w for the head."""
    batch, parameters = step.batches["source"], step.parameters
    task = step.task_losses(step.outputs(step.features(batch), batch), batch)["ce"]
    reached = {name: p for name, p in parameters.items() if not name.startswith("additions")}
    gradients = dict(zip(reached, torch.autograd.grad(task, list(reached.values()))))
    total = task.item()
    for name, p in reached.items():
        for index in range(p.numel()):
            value, first = p.detach().reshape(-1)[index].item(), step.start[name].reshape(-1)[index].item()
            if name.startswith("backbone"):
                total += ALPHA / 2 * (value - first) ** 2
                gradients[name].view(-1)[index] += ALPHA * (value - first)
            else:
                total += BETA / 2 * value**2
                gradients[name].view(-1)[index] += BETA * value
    return total, gradients


def test_loss_and_gradients_are_those_of_the_formula(step: Step) -> None:
    total, gradients = longhand(step)
    objective = L2SP(alpha=ALPHA, beta=BETA)
    losses = objective.losses(step)
    combined = objective.combine(losses, list(step.parameters.values()))
    assert combined is not None
    assert set(losses) == {"ce", "distance", "head_norm"}
    assert combined.item() == pytest.approx(total, rel=1e-12)
    combined.backward()
    for name, gradient in gradients.items():
        torch.testing.assert_close(step.parameters[name].grad, gradient, msg=name)
    assert step.parameters["additions.critic"].grad is None


def test_at_the_start_the_backbone_is_not_pulled(step: Step) -> None:
    with torch.no_grad():
        for name, p in step.parameters.items():
            p.copy_(step.start[name])
    assert L2SP().losses(step)["distance"].item() == 0.0


def test_it_needs_a_pretrained_stage_that_moves() -> None:
    assert L2SP.anchored
    assert [L2SP().first_stage(stages) for stages in (1, 4)] == [0, 3]
