"""The supervised objective against longhand: its value and the gradients of every weight that it trains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, mean_squared_error
from torch import nn

from headstart.contracts.augmentation import mixed_losses
from headstart.contracts.carriers import Batch, State
from headstart.contracts.features import Features
from headstart.contracts.objective import Step
from headstart.objectives.supervised import Supervised
from headstart.tasks.classification.task import Classification
from headstart.tasks.regression.task import Regression
from tiny_backbone import TinyBackbone

BATCH, INPUTS, WIDTH = 7, 4, 5


def layer(outputs: int, inputs: int, seed: int) -> nn.Linear:
    made = nn.Linear(inputs, outputs, dtype=torch.float64)
    draws = np.random.default_rng(seed)
    with torch.no_grad():
        made.weight.copy_(torch.from_numpy(draws.normal(size=(outputs, inputs))))
        made.bias.copy_(torch.from_numpy(draws.normal(size=outputs)))
    return made


def trained_once(task: Any, labels: np.ndarray, outputs: int) -> tuple[float, nn.Linear, nn.Linear, np.ndarray]:
    """One step of `objective.losses` and `combine`: the total, the two layers with their gradients, and the inputs."""
    backbone, head = layer(WIDTH, INPUTS, 1), layer(outputs, WIDTH, 2)
    inputs = np.random.default_rng(3).normal(size=(BATCH, INPUTS))
    batch = Batch(State(torch.from_numpy(inputs)), {"label": torch.from_numpy(labels)}, torch.arange(BATCH))
    step = Step(
        {"source": batch},
        lambda given: Features(backbone(given.state.hidden)),
        TinyBackbone(),
        lambda features, given: task.forward(head, features, given.head_inputs),
        mixed_losses(task.losses),
        nn.ModuleDict(),
        0.0,
    )
    objective = Supervised()
    total = objective.combine(objective.losses(step), [*backbone.parameters(), *head.parameters()])
    total.backward()
    return total.item(), backbone, head, inputs


def check_gradients(backbone: nn.Linear, head: nn.Linear, inputs: np.ndarray, slope: np.ndarray) -> None:
    """`slope` (batch, outputs) is the derivative of the loss by the head's outputs; the rest is the chain rule."""
    features = inputs @ backbone.weight.detach().numpy().T + backbone.bias.detach().numpy()
    inner = slope @ head.weight.detach().numpy()
    expected = {
        head.weight: slope.T @ features,
        head.bias: slope.sum(axis=0),
        backbone.weight: inner.T @ inputs,
        backbone.bias: inner.sum(axis=0),
    }
    for parameter, gradient in expected.items():
        assert parameter.grad is not None
        np.testing.assert_allclose(parameter.grad.numpy(), gradient, atol=1e-12)


def outputs_of(backbone: nn.Linear, head: nn.Linear, inputs: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return head(backbone(torch.from_numpy(inputs))).numpy()


@pytest.mark.parametrize("weighting", ["none", "balanced"])
def test_with_cross_entropy(weighting: str) -> None:
    counts = np.array([30, 9, 3])
    task = Classification(class_weights=weighting).restore(
        {"classes": ("a", "b", "c"), "counts": tuple(counts.tolist())}
    )
    labels = np.array([0, 1, 2, 0, 0, 2, 1])
    total, backbone, head, inputs = trained_once(task, labels, 3)
    logits = outputs_of(backbone, head, inputs)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    weights = np.ones(BATCH) if weighting == "none" else (42 / (3 * counts))[labels]
    assert total == pytest.approx(log_loss(labels, chances, sample_weight=weights), rel=1e-12)
    slope = weights[:, None] * (chances - np.eye(3)[labels]) / weights.sum()
    check_gradients(backbone, head, inputs, slope)


def test_with_squared_error() -> None:
    task = Regression().restore({"mean": 5.0, "scale": 2.5})
    labels = np.random.default_rng(4).normal(5.0, 2.5, BATCH)
    total, backbone, head, inputs = trained_once(task, labels, 1)
    found, wanted = outputs_of(backbone, head, inputs)[:, 0], (labels - 5.0) / 2.5
    assert total == pytest.approx(mean_squared_error(wanted, found), rel=1e-12)
    check_gradients(backbone, head, inputs, 2 * (found - wanted)[:, None] / BATCH)
