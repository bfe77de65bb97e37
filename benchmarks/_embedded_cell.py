"""One cell of the benchmark of the embedded backbone, in a process of its own: a start on one draw of labels.

python -m benchmarks._embedded_cell START DATA PER_CLASS DRAW SECONDS
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import headstart
from benchmarks._data import data_folder, own_cache
from benchmarks._drawn_pictures import drawn_pictures

TRAINING = {"epochs": 200, "patience": 200, "keep": "last", "averaging": 0.95}
"""What every training has: the few validation examples choose a rate, but no epoch."""

FINE_TUNING = {**TRAINING, "learning_rate": 1e-3, "renew_statistics": True}
RATES = 3
"""Tried from scratch, each for as long as the fine-tuning."""

STARTS: Mapping[str, Mapping[str, Any]] = {
    "embedded": {"backbone": "embedded", "tuning": "full", "settings": {"tuning": FINE_TUNING}},
    "scratch": {
        "backbone": "embedded",
        "weights": "random",
        "tuning": "scratch",
        "settings": {"tuning": TRAINING},
    },
    "imagenet": {"tuning": "probe"},
}
"""What differs between the starts; the data are the same, and so is the time of each fine-tuning."""


def cell(start: str, data: str, per_class: int, draw: int, seconds: float) -> dict[str, Any]:
    """Test accuracy, that of the probe on the frozen start, and the seconds of the fit."""
    given = dict(STARTS[start])
    given.setdefault("backbone", str(data_folder() / "weights" / "mobilenetv2_100_imagenet"))
    frame = drawn_pictures(data, per_class, draw)
    with own_cache(), tempfile.TemporaryDirectory() as folder:
        run = headstart.fit(
            frame,
            image="input",
            label="label",
            part="part",
            augmentation="none" if given["tuning"] == "probe" else "standard",
            budget=seconds * (RATES if start == "scratch" else 1),
            scratch=False,
            seed=draw,
            out=Path(folder) / "run",
            **given,
        )
        record = run.record
    return {
        "accuracy": record.arms["model"].figures["accuracy"].value,
        "probe": record.arms.get("probe", record.arms["model"]).figures["accuracy"].value,
        "seconds": round(record.budget.used if record.budget else 0.0, 1),
    }


if __name__ == "__main__":
    name, source, count, number, time_given = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):
        answer = cell(name, source, int(count), int(number), float(time_given))
    print(json.dumps(answer))
