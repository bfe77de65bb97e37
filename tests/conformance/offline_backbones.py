"""One tiny backbone of each family that can be had offline, with inputs that it reads and some that it cannot."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image
from plugins import sample_for
from torch import nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.examples import Schema
from headstart.contracts.format import Columns
from headstart.contracts.modality import modality_named
from headstart.contracts.model import Model
from headstart.kernel import registry
from headstart.kernel.user_settings import build
from headstart.tasks.classification.task import Classification
from small_sounds import save_tone
from tiny_detectors import save_tiny_detector
from tiny_onnx import save_frames
from tiny_sound_models import save_sound_model
from tiny_text_models import SENTENCES, save_tiny
from tiny_translators import save_translator


@dataclass(frozen=True)
class Case:
    """A family's tiny instance."""

    settings: dict[str, Any]
    raws: list[Any]
    """At least three, of different size or length where inputs can differ."""
    unreadable: list[Any]
    fewest_boundaries: int = 4
    """Inner ones that must hold; 0 for a family without layers."""


def case_of(name: str, folder: Path) -> Case:
    """The tiny instance of a family; its files go to `folder`."""
    needs = "settings of a tiny instance that loads offline, inputs it reads and some it cannot"
    return sample_for("backbones", name, folder / name, CASES, Case, needs=needs)


def load(name: str, case: Case) -> Backbone:
    """Load the instance."""
    backbone: Backbone = build(registry.plugin("backbones", name), case.settings, where="backbone").load()
    return backbone


@cache
def picture(width: int, height: int) -> bytes:
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


PICTURES = [picture(40, 30), picture(64, 64), picture(31, 90)]
TIMM = {"reference": "test_resnet", "weights": "random", "image_size": 64}
SIDE_BY_SIDE = {"reference": "test_resnet+test_resnet", "weights": "random", "inputs": "image"}


def _timm_images(folder: Path) -> Case:
    return Case(TIMM, PICTURES, [b"", b"no picture", folder / "missing.png"])


def _side_by_side(folder: Path) -> Case:
    return replace(_timm_images(folder), settings=SIDE_BY_SIDE, fewest_boundaries=0)


def _embedded(folder: Path) -> Case:
    return Case({}, PICTURES, [b"", b"no picture", folder / "missing.png"])


def _log_mel(folder: Path) -> Case:
    paths = [
        save_tone(folder / f"{pitch}.wav", pitch, seconds) for pitch, seconds in ((300, 0.4), (500, 0.9), (700, 0.1))
    ]
    return Case({"rate": 8000}, paths, [b"", b"no sound", folder / "missing.wav", 7], fewest_boundaries=0)


def _hf_audio(folder: Path) -> Case:
    settings = {"reference": str(save_sound_model(folder / "model"))}
    return replace(_log_mel(folder), settings=settings, fewest_boundaries=3)


def _onnx_file(folder: Path) -> Case:
    settings = {"reference": str(save_frames(folder / "frames.onnx")), "rate": 8000, "frame_seconds": 0.005}
    return replace(_log_mel(folder), settings=settings)


def _hf_detector(folder: Path) -> Case:
    reference = save_tiny_detector(folder, "rt_detr_v2")
    settings = {"reference": str(reference)}
    return Case(settings, PICTURES, [b"", b"no picture", folder / "missing.png"], fewest_boundaries=1)


def _hf_text(folder: Path) -> Case:
    reference = save_tiny(folder, "bert", num_hidden_layers=4)
    return Case({"reference": str(reference)}, list(SENTENCES), [7, ("a", "b", "c")])


def _text_table(folder: Path) -> Case:
    case, kind = _hf_text(folder), modality_named("text_table")
    columns = {"text": list(case.raws), "x": np.arange(len(case.raws), dtype=float)}
    schema = Schema(modality="text_table", inputs=tuple(columns), origin="text")
    return Case(case.settings, kind.raws(pa.table(columns), schema), [7, "a text"])


def _table_features(folder: Path) -> Case:
    raws = [np.array([1.0, -2.0, 0.5]), np.zeros(3), np.array([3.0, 1e5, -7.0])]
    return Case({"columns": 3}, raws, [np.array([1.0, np.nan, 0.0]), np.zeros(2)], fewest_boundaries=0)


def _table_mlp(folder: Path) -> Case:
    raws, unreadable = _table_features(folder).raws, _table_features(folder).unreadable
    return Case({"columns": 3, "width": 8}, raws, unreadable)


def _run_folder(folder: Path) -> Case:
    backbone = build(registry.plugin("backbones", "timm_images"), TIMM, where="backbone").load()
    task = Classification().restore({"classes": ("a", "b"), "counts": (1, 1)})
    heads = nn.ModuleDict({"head": task.head(backbone)})
    Model(backbone, task, heads, Columns(), {"runner": "eager"}).save(folder / "model")
    return Case({"reference": str(folder)}, PICTURES, [b"", b"no picture"])


def _hf_seq2seq(folder: Path) -> Case:
    return Case({"reference": str(save_translator(folder, "marian"))}, list(SENTENCES), [7, ("a", "b", "c")])


def _seq2seq_small(folder: Path) -> Case:
    return Case({"width": 16, "layers": 2, "heads": 2}, list(SENTENCES), [7, ("a", "b", "c")])


CASES: dict[str, Callable[[Path], Case]] = {
    "timm_images": _timm_images,
    "side_by_side": _side_by_side,
    "embedded": _embedded,
    "hf_detector": _hf_detector,
    "hf_audio": _hf_audio,
    "hf_text": _hf_text,
    "log_mel": _log_mel,
    "onnx_file": _onnx_file,
    "hf_seq2seq": _hf_seq2seq,
    "seq2seq_small": _seq2seq_small,
    "table_features": _table_features,
    "table_mlp": _table_mlp,
    "text_table": _text_table,
    "run_folder": _run_folder,
}
