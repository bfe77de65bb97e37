"""The losses of the plain tasks and their gradients against longhand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from head_shapes import SHAPES
from headstart.tasks.classification.task import Classification
from headstart.tasks.regression.task import Regression
from labelled import labelled


@pytest.mark.parametrize("class_weights", ["none", "balanced"])
def test_cross_entropy_and_its_gradient_equal_longhand(class_weights: str) -> None:
    task = Classification(class_weights=class_weights).bind(labelled(["a"] * 6 + ["b"] * 3 + ["c"]), SHAPES)
    logits = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    labels = np.array([0, 2, 1, 0, 2])
    loss = task.losses({"logits": logits}, {"label": torch.from_numpy(labels)})["cross_entropy"]
    loss.backward()

    raw = logits.detach().numpy()
    chances = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    weights = np.ones(5) if class_weights == "none" else (10 / (3 * np.array([6, 3, 1])))[labels]
    assert loss.item() == pytest.approx(np.sum(-weights * np.log(chances[np.arange(5), labels])) / weights.sum())
    gradient = weights[:, None] * (chances - np.eye(3)[labels]) / weights.sum()
    assert np.allclose(logits.grad.numpy(), gradient, atol=1e-12)


def test_squared_error_and_its_gradient_equal_longhand() -> None:
    task = Regression().restore({"mean": 10.0, "scale": 4.0})
    outputs = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64, requires_grad=True)
    loss = task.losses({"standard": outputs}, {"label": torch.tensor([12.0, 2.0, 10.0])})["squared_error"]
    loss.backward()
    assert loss.item() == pytest.approx((0.0**2 + 1.0**2 + 2.0**2) / 3)
    assert outputs.grad.tolist() == pytest.approx([0.0, 2 / 3, 4 / 3])
