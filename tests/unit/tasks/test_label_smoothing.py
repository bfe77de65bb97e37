from __future__ import annotations

import numpy as np
import torch

from head_shapes import SHAPES
from headstart.tasks.classification.task import BoundClassification, Classification
from tiny_backbone import numeric_examples


def bound(**settings: object) -> BoundClassification:
    examples = numeric_examples(np.zeros((6, 2)), ["a", "a", "a", "b", "b", "c"])
    return Classification(**settings).bind(examples, SHAPES)  # type: ignore[arg-type]


def targets(*labels: int) -> dict[str, torch.Tensor]:
    return {"label": torch.tensor(labels)}


def test_smoothing_spreads_a_share_of_each_label_over_all_classes_in_training() -> None:
    logits = torch.tensor([[2.0, 0.5, -1.0], [0.0, 1.0, 3.0]], requires_grad=True)
    loss = bound(label_smoothing=0.3).losses({"logits": logits}, targets(0, 1))["cross_entropy"]
    target = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]])
    torch.testing.assert_close(loss, -(target * logits.log_softmax(dim=1)).sum(dim=1).mean())


def test_validation_measures_the_plain_cross_entropy() -> None:
    logits = {"logits": torch.tensor([[2.0, 0.5, -1.0]])}
    assert torch.equal(
        bound(label_smoothing=0.3).losses(logits, targets(0))["cross_entropy"],
        bound().losses(logits, targets(0))["cross_entropy"],
    )
