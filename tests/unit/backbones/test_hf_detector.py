"""Detectors of transformers: their halves are the library's own, and their decoder is a head with other classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load
from torch import Tensor

from detected_boxes import boxed_pictures
from headstart.backbones.hf_detector import HfDetector
from headstart.contracts.carriers import State
from headstart.contracts.features import Features
from headstart.contracts.placed_targets import Boxes
from headstart.kernel.errors import BackboneError
from headstart.tasks.detection.task import BOXES, BoundDetection, Detection
from tiny_detectors import CONFIGS, SIDE, save_tiny_detector, tiny_detector


@pytest.fixture(scope="module", params=CONFIGS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_detector(tmp_path_factory.mktemp(request.param), request.param)


def maps_of(backbone: Any, pixels: Tensor) -> tuple[Tensor, ...]:
    with torch.no_grad():
        return tuple(backbone.features(backbone.segment(0, 2)(State(pixels))).maps)


@pytest.mark.slow
def test_both_halves_give_what_the_library_gives(folder: Path) -> None:
    backbone: Any = HfDetector(reference=str(folder)).load()
    pixels = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    kind = folder.name.rstrip("0")
    theirs, head = tiny_detector(kind), backbone.box_head(5 + (kind == "detr"))
    head.load_state_dict(load(backbone.assets()["decoder.safetensors"]))
    with torch.no_grad():
        expected = theirs(pixels)
        scores, boxes = head.eval()(maps_of(backbone, pixels))
    assert torch.allclose(scores[:, -1], expected.logits, atol=1e-5)
    assert torch.allclose(boxes[:, -1], expected.pred_boxes, atol=1e-5)


def bound(backbone: Any) -> tuple[BoundDetection, Any]:
    examples = boxed_pictures(4)
    return Detection().bind(examples, backbone), examples


@pytest.mark.slow
def test_a_detector_learns_other_classes_in_all_of_its_layers(folder: Path) -> None:
    backbone: Any = HfDetector(reference=str(folder)).load()
    task, examples = bound(backbone)
    assert task.sets and task.image_side == SIDE and task.classes == ("cell", "platelet")
    backbone = backbone.whole(task.image_side)
    maps = maps_of(backbone, backbone.prepare(examples.table["picture"].to_pylist()).hidden)
    torch.manual_seed(0)
    head = task.head(backbone).train()
    targets = {BOXES: Boxes().collated(task.targets(examples)[BOXES])}
    optimiser = torch.optim.Adam(head.parameters(), 3e-3)
    course = []
    for _ in range(30):
        losses = task.losses(task.forward(head, _features(maps), {}), targets)
        loss = torch.as_tensor(sum(losses.values()))
        course.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert course[-1] < 0.85 * course[0]
    unmoved = [name for name, p in head.named_parameters() if p.requires_grad and p.grad is None]
    assert not unmoved
    with torch.no_grad():
        found = task.predict(head.eval(), _features(maps), {}).columns[BOXES]
    assert all(
        len(boxes) <= 100 and (boxes[:, 5] < 2).all() and (boxes[:-1, 4] >= boxes[1:, 4]).all() for boxes in found
    )


@pytest.mark.slow
def test_its_decoder_goes_with_a_saved_model(folder: Path, tmp_path: Path) -> None:
    backbone: Any = HfDetector(reference=str(folder)).load()
    for name, content in backbone.assets().items():
        (tmp_path / name).write_bytes(content)
    described = backbone.whole(2 * SIDE).describe()["settings"]
    again: Any = HfDetector(**described).rebuild(tmp_path)
    assert again.side == 2 * SIDE and again.assets().keys() == backbone.assets().keys()
    assert again.assets()["decoder.safetensors"] == backbone.assets()["decoder.safetensors"]
    fresh = backbone.fresh(3)
    assert fresh.weights_hash() != backbone.weights_hash()
    assert fresh.assets()["decoder.safetensors"] != backbone.assets()["decoder.safetensors"]


def test_a_side_that_cannot_be_cut_up_is_refused(tmp_path: Path) -> None:
    backbone = HfDetector(reference=str(save_tiny_detector(tmp_path, "rf_detr"))).load()
    with pytest.raises(BackboneError, match="multiples of 32, not 80"):
        backbone.whole(80)
    (tmp_path / "config.json").write_text('{"model_type": "yolos"}')
    with pytest.raises(BackboneError, match="holds a 'yolos'"):
        HfDetector(reference=str(tmp_path)).load()


def _features(maps: tuple[Tensor, ...]) -> Features:
    return Features(maps[-1].mean(dim=(2, 3)), maps=maps)


@pytest.mark.parametrize(
    ("reference", "suits"),
    [
        ("PekingU/rtdetr_v2_r18vd", True),
        ("somebody/D-FINE-small", True),
        ("hf-hub:timm/resnet18.a1_in1k", False),
        ("timm/resnet18", False),
        ("facebook/dinov2-base", False),
        ("weights/rtdetr/model.safetensors", False),
        ("resnet18", False),
    ],
)
def test_hub_names_of_other_models_are_left_to_others(reference: str, suits: bool) -> None:
    assert HfDetector.suits(reference) is suits


def test_folders_of_other_models_are_left_to_others(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    assert not HfDetector.suits(str(tmp_path)) and not HfDetector.suits(str(tmp_path / "config.json"))
