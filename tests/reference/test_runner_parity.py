"""Real weights on real inputs: what the gate lets through is within 1 % of plain PyTorch, what it refuses is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from benchmarks._cifar_resnet import load as load_cifar
from headstart.contracts.carriers import State
from headstart.engine.frozen.execution import Differs, started
from headstart.engine.frozen.feature_spec import FeatureSpec, FrozenSegment
from headstart.kernel import registry
from headstart.runners.openvino import OpenVino

CPU = torch.device("cpu")
INPUTS = 8
LIMIT = 0.01
SLOW_TO_START = 10.0
"""Runners that take longer are tested in a file of their own."""


class Network(nn.Module):
    """A plain network in the place of a kept segment."""

    keep = "pooled"

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, state: State) -> State:
        return State(self.inner(state.hidden))


def backbone_of(family: str, reference: str, raws: list[Any]) -> tuple[Any, State]:
    backbone = registry.plugin("backbones", family)(reference=reference).load()
    return FrozenSegment(backbone, FeatureSpec.all_stages(backbone), 0), backbone.prepare(raws)


def mobilenet(data: Path) -> tuple[Any, State]:
    return backbone_of("timm_images", str(data / "weights" / "mobilenetv2_100_imagenet"), photos(data))


def minilm(data: Path) -> tuple[Any, State]:
    lines = (data / "data" / "text_sst2" / "test.csv").read_text(encoding="utf-8").splitlines()
    return backbone_of("hf_text", "all-MiniLM-L6-v2", lines[1 : INPUTS + 1])


def cifar(file: str, depth: int, data: Path) -> tuple[Any, State]:
    return Network(load_cifar(str(data / "weights" / "cifar10_resnet" / file), depth)), State(pixels(photos(data)))


NETWORKS: Mapping[str, Callable[[Path], tuple[Any, State]]] = {
    "MobileNetV2": mobilenet,
    "MiniLM": minilm,
    "CIFAR ResNet-20": partial(cifar, "resnet20-12fca82f.th", 20),
    "CIFAR ResNet-56": partial(cifar, "resnet56-4bfd9763.th", 56),
}


def photos(data: Path) -> list[Path]:
    found = sorted((data / "data" / "img_ants_bees").rglob("*.jpg"))
    return found[:: len(found) // INPUTS][:INPUTS]


def pixels(paths: list[Path]) -> torch.Tensor:
    """(pictures, 3, 32, 32), normalised as the CIFAR networks were trained."""
    mean, std = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
    small = [np.asarray(Image.open(path).convert("RGB").resize((32, 32)), np.float32) for path in paths]
    return torch.from_numpy((np.stack(small) / 255 - mean) / std).permute(0, 3, 1, 2).contiguous()


def longhand(found: State, expected: State) -> float:
    """The largest relative error among all features."""
    ours, plain = found.tensors(), expected.tensors()
    return max(float((ours[name].double() - value).norm() / value.double().norm()) for name, value in plain.items())


def variants() -> list[Any]:
    found = []
    for name in registry.names("runners"):
        offered = registry.plugin("runners", name).variants(CPU)
        found += [runner for runner in offered if runner.setup_seconds(CPU) < SLOW_TO_START]
    return found


@pytest.fixture(scope="module", params=NETWORKS)
def network(request: pytest.FixtureRequest, test_data: Path) -> tuple[Any, State, State]:
    """A segment, real inputs and its features in plain PyTorch."""
    segment, state = NETWORKS[request.param](test_data)
    with torch.no_grad():
        expected: State = segment.eval()(state)
    return segment, state, expected


def test_what_is_let_through_is_within_one_percent_and_what_is_refused_is_not(
    network: tuple[Any, State, State], request: pytest.FixtureRequest
) -> None:
    segment, state, expected = network
    right = []
    for runner in variants():
        try:
            execute = started(runner, segment, state, CPU, request.node.name)
        except Differs:
            error = longhand(runner.start(segment, state, CPU)(state), expected)
            assert error > 0.8 * LIMIT, "a little less where it is the smaller of the two batches that is too far off"
            continue
        assert longhand(execute(state), expected) <= (1e-4 if runner.precision == "float32" else LIMIT)
        right.append(runner)
    assert OpenVino() in right
