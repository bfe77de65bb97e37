"""Short trainings without labels through the real loop: a tiny backbone and inputs for every kind of data."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from offline_backbones import TIMM
from plugins import sample
from torch import Tensor, nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.composed_augmentation import composed
from headstart.contracts.examples import Examples, Schema
from headstart.contracts.format import Columns
from headstart.contracts.model import Encoder
from headstart.contracts.objective import TARGET, TARGET_AGAIN, Step
from headstart.contracts.tuning import Rate
from headstart.engine.streams import PreparedInputs, Stream
from headstart.engine.training.checkpoint import CheckpointFile
from headstart.engine.training.loop import Loop
from headstart.engine.training.stepping import Moment
from headstart.engine.training.training_plan import TrainingPlan
from headstart.kernel import registry
from headstart.kernel.user_settings import build
from headstart.pipeline.pretraining.plan import TrainingSettings
from masked_pictures import png
from tiny_backbone import numeric_examples
from tiny_text_models import save_tiny

TRAIN, HELD_OUT = np.arange(48), np.arange(48, 64)
SHORT = {"epochs": 3, "batch_size": 16, "learning_rate": 0.002, "head_learning_rate": 0.005, "precision": "float32"}
VIT = {
    "reference": "vit_tiny_patch16_224",
    "weights": "random",
    "architecture": {
        "name": "vit_tiny_patch16_224",
        "arguments": {"depth": 2, "embed_dim": 32, "num_heads": 2, "img_size": 32, "patch_size": 8},
        "configuration": {"input_size": [3, 32, 32], "fixed_input_size": True},
    },
}
WORDS = "the cat sat on a mat and looked at rain that a dog had barked away while it was late".split()

Inputs = tuple[Backbone, Examples]


def pictures(settings: Mapping[str, Any] = {**TIMM, "image_size": 32}) -> Inputs:
    """A ResNet with BatchNorm, or another, and pictures of a few colours."""
    draws = np.random.default_rng(0)
    coarse = draws.integers(0, 256, (64, 4, 4, 3), dtype=np.uint8)
    table = {"picture": [png(picture.repeat(8, 0).repeat(8, 1)) for picture in coarse]}
    schema = Schema(modality="image", inputs=("picture",), origin="origin")
    return _loaded("timm_images", settings), Examples(_with_origin(table), schema)


def patches() -> Inputs:
    """A ViT and the same pictures."""
    return pictures(VIT)


def texts() -> Inputs:
    """A BERT with dropout, and texts of few words."""
    draws = np.random.default_rng(0)
    table = {"text": [" ".join(draws.choice(WORDS, draws.integers(3, 9))) for _ in range(64)]}
    schema = Schema(modality="text", inputs=("text",), origin="origin")
    return _loaded("hf_text", {"reference": str(_bert())}), Examples(_with_origin(table), schema)


def rows() -> Inputs:
    """A small network, and columns of which one follows from the others."""
    numbers = np.random.default_rng(0).normal(size=(64, 4)) * [1.0, 100.0, 1.0, 1.0]
    numbers[:, 3] = numbers[:, 0] + numbers[:, 2]
    return _loaded("table_mlp", {"columns": 4, "width": 16}), numeric_examples(numbers, [0] * 64)


KINDS: dict[str, Callable[[], Inputs]] = {"image": pictures, "text": texts, "table": rows}


SMALL: dict[str, dict[str, int]] = {
    "byol": {"hidden": 32, "width": 16},
    "denoising": {"hidden": 16},
    "mae": {"width": 32, "depth": 1},
    "simclr": {"hidden": 32, "width": 16},
    "vicreg": {"width": 32},
}
"""Settings of additions that would take longer than the tiny backbones."""


def small(name: str) -> Any:
    """An objective with small additions."""
    return sample("objectives", name).model_copy(update=SMALL.get(name, {}))


def inputs_for(objective: Any) -> Inputs:
    """Of a kind that the objective learns from: a ViT where it refuses another net."""
    make = patches if registry.name_of(objective) == "mae" else KINDS[objective.modalities[0]]
    backbone, examples = _made(make)
    return copy.deepcopy(backbone), examples


@cache
def _made(make: Callable[[], Inputs]) -> Inputs:
    return make()


def loop_for(objective: Any, *, last: bool = False, checkpoint: CheckpointFile | None = None, epochs: int = 2) -> Loop:
    """A loop in which every stage moves, or the last one; pictures are mirrored at random, which is soon learnt."""
    backbone, examples = inputs_for(objective)
    objective.check(backbone)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        additions = nn.ModuleDict(dict(objective.additions(backbone)))
    course = TrainingSettings(**{**SHORT, "epochs": epochs})
    views = composed("flip" if examples.schema.modality == "image" else "none", {})
    bound, source = views.bind(backbone.input_kind(), len(TRAIN)), PreparedInputs(backbone, examples)

    def streams(which: np.ndarray) -> dict[str, Stream]:
        follows = {TARGET_AGAIN: TARGET}
        return {
            name: Stream(name, which, {}, source, course.batch_size, 0, bound, follows=follows.get(name, ""))
            for name in objective.streams
        }

    stages = len(backbone.stages)
    rates: Sequence[Rate] = [rate for rate in course.rates(stages) if not last or rate.stage in (-1, stages - 1)]
    plan = TrainingPlan(objective, course, rates, 0, 0, latest=True)
    encoder = Encoder(backbone, Columns(), additions=additions)
    return Loop(encoder, plan, streams(TRAIN), streams(HELD_OUT), checkpoint=checkpoint)


def step_of(loop: Loop, moment: Moment | None = None) -> Step:
    """A step on the first batch of an epoch."""
    moment = moment or Moment(0, 0, 0.0)
    batches = {name: stream.batch(stream.order(moment.epoch)[0], moment.epoch) for name, stream in loop.streams.items()}
    return loop.stepper.step(batches, moment)


def learned(loop: Loop) -> dict[str, Tensor]:
    """Every weight and buffer of backbone and additions, by name."""
    modules = {"backbone": loop.model.backbone.module, "additions": loop.model.additions}
    return {f"{part}.{name}": value.clone() for part, m in modules.items() for name, value in m.state_dict().items()}


def _loaded(family: str, settings: Mapping[str, Any]) -> Backbone:
    backbone: Backbone = build(registry.plugin("backbones", family), dict(settings), where="backbone").load()
    return backbone


def _with_origin(columns: Mapping[str, list[Any]]) -> pa.Table:
    return pa.table({**columns, "origin": [f"row {row}" for row in range(64)]})


@cache
def _bert() -> Path:
    return save_tiny(Path(mkdtemp()), "bert", num_hidden_layers=3)
