"""A tiny backbone, a bound task and examples for every kind of task: what trains is tested under all of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pyarrow as pa
from offline_backbones import TIMM
from tiny_training import classes

from detected_boxes import boxed_pictures
from head_shapes import SHAPES
from headstart.contracts.backbone import Backbone
from headstart.contracts.examples import Examples, Schema
from headstart.kernel import registry
from headstart.kernel.user_settings import build
from headstart.tasks.detection.task import Detection
from headstart.tasks.regression.task import Regression
from headstart.tasks.segmentation.task import Segmentation
from headstart.tasks.tagging.task import Tagging
from masked_pictures import masked_pictures, png
from tagged_texts import tagged_texts
from tiny_text_models import save_tiny

Setting = tuple[Backbone, Any, Examples]
N = 80


def numbers_of_pictures() -> Setting:
    """A ResNet with BatchNorm, and a number for each picture."""
    draws = np.random.default_rng(0)
    pictures = [png(draws.integers(0, 256, (32, 32, 3), dtype=np.uint8)) for _ in range(N)]
    table = pa.table({"picture": pictures, "size": draws.normal(size=N), "origin": [f"row {k}" for k in range(N)]})
    schema = Schema(modality="image", inputs=("picture",), targets={"label": "size"}, origin="origin")
    examples = Examples(table, schema)
    return _resnet(), Regression().bind(examples, SHAPES), examples


def masks_of_pictures() -> Setting:
    """A ResNet and a decoder over its maps."""
    examples = _masked()
    task = Segmentation(image_side=32).bind(examples, SHAPES)
    return _resnet().whole(32), task, examples


def boxes_of_pictures() -> Setting:
    """A ResNet and a head of points over its maps."""
    examples = _boxed()
    task = Detection(image_side=32, width=8, strides=(8, 16, 32)).bind(examples, SHAPES)
    return _resnet().whole(32).of_strides(task.strides), task, examples


def tags_of_texts() -> Setting:
    """A BERT, and spans in texts."""
    examples = tagged_texts(N)
    backbone = build(registry.plugin("backbones", "hf_text"), {"reference": str(_bert())}, where="backbone").load()
    return backbone.placed(), Tagging().bind(examples, SHAPES), examples


SETTINGS: dict[str, Callable[[], Setting]] = {
    "classification": classes,
    "regression": numbers_of_pictures,
    "tagging": tags_of_texts,
    "segmentation": masks_of_pictures,
    "detection": boxes_of_pictures,
}


def _resnet() -> Backbone:
    backbone: Backbone = build(
        registry.plugin("backbones", "timm_images"), {**TIMM, "image_size": 32}, where="backbone"
    ).load()
    return backbone


@cache
def _masked() -> Examples:
    return masked_pictures(N)


@cache
def _boxed() -> Examples:
    return boxed_pictures(N)


@cache
def _bert() -> Path:
    return save_tiny(Path(mkdtemp()), "bert", num_hidden_layers=3)
