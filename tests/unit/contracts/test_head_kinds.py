"""Kinds of heads against their formulas; shapes that are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from head_shapes import SHAPES
from headstart.contracts.head_kinds import BeginsAtMeans, Cosine, Mlp, Prototypes, StageSum
from headstart.contracts.head_shape import HeadShape, shaped_head
from headstart.contracts.task import BoundTask
from headstart.kernel.errors import SettingsError
from headstart.kernel.user_settings import build
from headstart.tasks.classification.task import Classification
from headstart.tasks.detection.task import Detection
from headstart.tasks.regression.task import Regression
from tiny_backbone import TinyBackbone

CLASSES = Classification().restore({"classes": ("ant", "bee", "cat"), "counts": (3, 4, 5)})
QUANTITY = Regression().restore({"mean": 1.0, "scale": 2.0})
BOXES = Detection().restore({"classes": ["ant"], "counts": [1], "image_side": 64, "strides": [8], "crowded": 0})
FEATURES = np.random.default_rng(0).normal(1.0, 1.0, (12, 8))
LABELS = np.arange(12) % 3


def head_of(kind: str, task: BoundTask = CLASSES, **settings: Any) -> nn.Module:
    torch.manual_seed(0)
    return shaped_head(task, SHAPES, HeadShape.model_validate({"kind": kind, **settings})).double().eval()


def outputs(head: nn.Module, features: np.ndarray) -> np.ndarray:
    found: np.ndarray = head(torch.from_numpy(features)).detach().numpy()
    return found


@pytest.mark.parametrize("kind", ["cosine", "prototype"])
def test_classes_begin_at_the_means_of_centred_directions(kind: str) -> None:
    head = head_of(kind)
    assert isinstance(head, BeginsAtMeans)
    head.begin(torch.from_numpy(FEATURES), torch.from_numpy(LABELS))
    mean = FEATURES.mean(axis=0)
    z = np.array([(x - mean) / np.sqrt(((x - mean) ** 2).sum()) for x in FEATURES])
    means = np.array([z[k == LABELS].mean(axis=0) for k in range(3)])
    if kind == "cosine":
        expected = [[10 * (one @ w) / np.sqrt(w @ w) for w in means] for one in z]
    else:
        expected = [[-10 * ((one - c) ** 2).sum() for c in means] for one in z]
    assert outputs(head, FEATURES) == pytest.approx(np.array(expected), abs=1e-6)
    assert all(parameter.requires_grad for parameter in head.parameters())


def test_an_mlp_is_gelu_layers_before_the_tasks_head() -> None:
    head = head_of("mlp", QUANTITY, hidden=5, layers=2)
    assert isinstance(head, Mlp)
    values = nn.functional.layer_norm(torch.from_numpy(FEATURES), (8,))
    for k in (1, 4):
        linear = head.layers[k]
        values = nn.functional.gelu(values @ linear.weight.T + linear.bias)
    assert values.shape == (12, 5)
    expected = values @ head.head.weight.T + head.head.bias
    assert outputs(head, FEATURES) == pytest.approx(expected.detach().numpy(), abs=1e-9)


def test_a_sum_of_stages_weighs_the_heads_of_stages_of_different_widths() -> None:
    backbone = TinyBackbone()
    backbone.stage_widths = (3, 5)
    head = shaped_head(CLASSES, backbone, HeadShape(kind="stages")).double()
    assert isinstance(head, StageSum) and [one.in_features for one in head.heads] == [3, 5]
    with torch.no_grad():
        head.shares.copy_(torch.tensor([0.0, np.log(3.0)]))
    parts = [FEATURES[:, :3], FEATURES[:, 3:]]
    parts = [(x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5) for x in parts]
    each = [x @ one.weight.detach().numpy().T + one.bias.detach().numpy() for x, one in zip(parts, head.heads)]
    assert outputs(head, FEATURES) == pytest.approx(0.25 * each[0] + 0.75 * each[1], abs=1e-6)


@pytest.mark.parametrize(("kind", "expected"), [("cosine", Cosine), ("prototype", Prototypes), ("stages", StageSum)])
def test_one_saved_shape_builds_the_same_head_again(kind: str, expected: type[nn.Module]) -> None:
    shape = HeadShape.model_validate(HeadShape.model_validate({"kind": kind}).model_dump(mode="json"))
    head = shaped_head(CLASSES, SHAPES, shape)
    assert isinstance(head, expected)
    head.load_state_dict(head_of(kind).float().state_dict(), strict=True)


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"kind": "cosine", "hidden": 64}, "head: hidden would do nothing: it is of kind = mlp, and kind is cosine"),
        ({"kind": "stages", "bottleneck": 64}, "bottleneck = 64 and kind = stages exclude one another"),
        ({"gated": True}, "gated would do nothing"),
        ({"kind": "mpl"}, "'mlp'"),
    ],
)
def test_settings_that_contradict_one_another_are_refused(settings: dict[str, Any], fault: str) -> None:
    with pytest.raises(SettingsError, match=fault):
        build(HeadShape, settings, where="head")


@pytest.mark.parametrize(
    ("task", "settings", "fault"),
    [
        (QUANTITY, {"kind": "cosine"}, "head.kind = cosine needs examples that have one class each.* is regression"),
        (QUANTITY, {"members": 3}, "head.members = 3 needs"),
        (BOXES, {"kind": "mlp"}, "the task detection has a head of its own"),
    ],
)
def test_a_task_that_cannot_have_the_head_is_named(task: BoundTask, settings: dict[str, Any], fault: str) -> None:
    with pytest.raises(SettingsError, match=fault):
        HeadShape.model_validate(settings).require(task)
