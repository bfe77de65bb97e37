"""How far features from the fast pass lie from plain PyTorch's with real weights, and what reduced decoding costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from benchmarks._cifar_resnet import load
from benchmarks._data import data_folder
from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import State
from headstart.contracts.runner import CannotRun
from headstart.engine.frozen.execution import started
from headstart.engine.frozen.extract import Extracted
from headstart.engine.frozen.feature_spec import FeatureSpec, FrozenSegment
from headstart.kernel import registry
from headstart.kernel.progress import Quiet
from headstart.pipeline.arms import FitContext, solve_arm
from headstart.pipeline.data import Given
from headstart.pipeline.embed import embed
from headstart.pipeline.plan import Plan
from headstart.pipeline.sequence import start
from headstart.pipeline.trained import predict_rows

CPU = torch.device("cpu")
INPUTS = 64
SIDE = 96
"""Pixels at which the files of 128 px are decoded at a reduced size."""
SPLITS = 5
"""Seeds of the split, where the data give none: one test part of some hundred is too few for half a point."""


def parity() -> dict[str, float]:
    """Largest relative error of each network's features on every runner that the gate lets through."""
    found: dict[str, float] = {}
    images, texts = _images(), _texts()
    for name, reference, modality in (
        ("MobileNetV2", str(data_folder() / "weights" / "mobilenetv2_100_imagenet"), "image"),
        ("MiniLM", "all-MiniLM-L6-v2", "text"),
    ):
        family = "timm_images" if modality == "image" else "hf_text"
        backbone = registry.plugin("backbones", family)(reference=reference).load()
        segment = FrozenSegment(backbone, FeatureSpec.all_stages(backbone), 0)
        found |= _errors(name, segment, backbone.prepare(images if modality == "image" else texts))
    for depth, file in ((20, "resnet20-12fca82f.th"), (56, "resnet56-4bfd9763.th")):
        network = load(str(data_folder() / "weights" / "cifar10_resnet" / file), depth)
        found |= _errors(f"CIFAR ResNet-{depth}", _Network(network), State(_cifar_pixels(images)))
    return found


def reduced_decoding() -> dict[str, float]:
    """Points of accuracy that the probe gains with reduced decoding, per data set and over all test examples."""
    points: dict[str, float] = {}
    right = {"fast": 0.0, "full": 0.0}
    examples = 0
    for name in ("da_pacs", "img_brain_mri", "img_cats_dogs", "img_ants_bees"):
        hits = {decode: _hits(name, decode) for decode in right}
        points[name] = 100 * float(hits["fast"].mean() - hits["full"].mean())
        examples += len(hits["full"])
        for decode, each in hits.items():
            right[decode] += float(each.sum())
    return {**points, "together": 100 * (right["fast"] - right["full"]) / examples}


class _Network(nn.Module):
    """What a kept segment is to a runner, around a plain network."""

    keep = "pooled"

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, state: State) -> State:
        return State(self.network(state.hidden))


def _errors(name: str, segment: Any, state: State) -> dict[str, float]:
    found = {}
    with torch.no_grad():
        expected = segment.eval()(state)
    for runner in registry.names("runners"):
        for variant in registry.plugin("runners", runner).variants(CPU):
            try:
                result = started(variant, segment, state, CPU, f"benchmark {name}")(state)
            except CannotRun:
                continue
            pairs = [(result.hidden, expected.hidden), *((result.taps[k], v) for k, v in expected.taps.items())]
            error = max(float((one - other).norm() / other.norm()) for one, other in pairs)
            found[f"{name}, {runner} {variant.precision}"] = error
    return found


def _hits(name: str, decode: str) -> np.ndarray:
    """(test examples of all splits,) whether the probe is right."""
    settings = {"backbone": {"image_size": SIDE, "decode": decode}}
    backbone = str(data_folder() / "weights" / "mobilenetv2_100_imagenet")
    plan = Plan(data=str(data_folder() / "data" / name), backbone=backbone, settings=settings)
    begun = start(Given(plan.data), plan)
    prepared, loaded = begun.data, begun.backbone
    features = embed(loaded, prepared.examples, keys=prepared.keys)
    return np.concatenate([_hits_of_split(plan, seed, loaded, features) for seed in range(SPLITS)])


def _hits_of_split(plan: Plan, seed: int, backbone: Backbone, features: Extracted) -> np.ndarray:
    plan = plan.model_copy(update={"seed": seed})
    prepared = start(Given(plan.data), plan).data
    context = FitContext(plan, prepared, backbone, features, None, Quiet())
    test = prepared.split.test
    predicted = predict_rows(context, solve_arm(context, "model"), test)
    right: np.ndarray = predicted.columns["probabilities"].argmax(axis=1) == prepared.targets["label"][test]
    return right


def _images() -> list[Path]:
    return sorted((data_folder() / "data" / "da_pacs").rglob("*.jpg"))[::40][:INPUTS]


def _texts() -> list[str]:
    lines = (data_folder() / "data" / "text_sms_spam").rglob("*.csv")
    return next(iter(lines)).read_text(encoding="utf-8").splitlines()[1 : INPUTS + 1]


def _cifar_pixels(paths: list[Path]) -> torch.Tensor:
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    pixels = []
    for path in paths:
        with Image.open(path) as picture:
            pixels.append(np.array(picture.convert("RGB").resize((32, 32))))
    return (torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255 - mean) / std
