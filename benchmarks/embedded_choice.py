"""By what the embedded backbone's recipe is chosen: probes with 10 labels per class, on data of no asked figure.

Test accuracy of the linear probe on frozen features, mean over label draws: random weights, those that ship inside, and
MobileNetV2 from ImageNet. `EMBEDDED=FILE` in the environment puts the weights of another training beside them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import headstart
from benchmarks._data import data_folder, own_cache
from benchmarks._drawn_pictures import APART, drawn_pictures

PER_CLASS = 10


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """4 data sets, 5 draws (`quick`: 2, `full`: 10)."""
    draws = 2 if quick else 10 if full else 5
    with own_cache():
        rows = {
            name: {start: round(_mean(name, given, draws), 1) for start, given in _starts().items()} for name in APART
        }
    means = {start: round(float(np.mean([row[start] for row in rows.values()])), 1) for start in _starts()}
    return {}, {"labels_per_class": PER_CLASS, "draws": draws, "accuracy": rows, "mean": means}


def _starts() -> Mapping[str, Mapping[str, str]]:
    """Name -> backbone and weights."""
    another = os.environ.get("EMBEDDED")
    return {
        "random": {"backbone": "embedded", "weights": "random"},
        "embedded": {"backbone": "embedded"},
        **({"another": {"backbone": "embedded", "weights": another}} if another else {}),
        "imagenet": {"backbone": str(data_folder() / "weights" / "mobilenetv2_100_imagenet")},
    }


def _mean(name: str, given: Mapping[str, str], draws: int) -> float:
    """Percent."""
    return 100 * float(np.mean([_accuracy(name, given, draw) for draw in range(draws)]))


def _accuracy(name: str, given: Mapping[str, str], draw: int) -> float:
    frame = drawn_pictures(name, PER_CLASS, draw)
    with tempfile.TemporaryDirectory() as folder:
        run = headstart.fit(
            frame,
            image="input",
            label="label",
            part="part",
            scratch=False,
            out=Path(folder) / "run",
            backbone=given["backbone"],
            weights=given.get("weights", "pretrained"),
        )
        return float(run.metrics["test"]["accuracy"]["value"])
