"""One cell of the ranking of pretrained models, in a process of its own: a checkpoint on all cases.

python -m benchmarks._ranking_cell CHECKPOINT STEPS CASE/PER_CLASS...
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

import headstart
from benchmarks._data import data_folder, own_cache
from benchmarks._drawn_pictures import drawn_pictures
from benchmarks._selection_cell import REAL
from headstart.contracts.format import Columns
from headstart.kernel.progress import Quiet
from headstart.pipeline.plan import Plan
from headstart.pipeline.selection.select_run import run_selection

SIDE = 128
"""Height and width in pixels, for time's sake."""

BATCH = 32
"""Examples of a step."""

OWN = "da_pacs_cartoon"
"""What own runs learnt from; no case is of it."""

COLUMNS = {"image": "input", "label": "label", "part": "part"}


class Checkpoint(NamedTuple):
    """Weights to begin with, or a run of our own that makes them."""

    reference: str
    weights: str = "pretrained"
    epochs: int = 0
    """Of the run on pictures of `OWN` that made it; 0 for none."""


CHECKPOINTS: Mapping[str, Checkpoint] = {
    **{name: Checkpoint(f"weights/{name}") for name in REAL},
    "embedded": Checkpoint("embedded"),
    "own run, 2 epochs": Checkpoint("embedded", epochs=2),
    "own run, 12 epochs": Checkpoint("embedded", epochs=12),
    "own run, narrow": Checkpoint("mobilenetv3_small_050", "random", 12),
}
RANDOM: Mapping[str, Checkpoint] = {
    "random resnet10t": Checkpoint("resnet10t", "random"),
    "random mobilenetv3_small_100": Checkpoint("mobilenetv3_small_100", "random"),
}
"""Apart: what nobody would choose."""


def cell(name: str, steps: int, cases: Sequence[str]) -> dict[str, Any]:
    """For each case the scores on the labelled part, and the test accuracy of the fine-tuned model."""
    checkpoint = {**CHECKPOINTS, **RANDOM}[name]
    with own_cache(), tempfile.TemporaryDirectory() as folder:
        start = _started(checkpoint, Path(folder))
        return {case: _one(case, start, steps, Path(folder)) for case in cases}


def _started(checkpoint: Checkpoint, folder: Path) -> Mapping[str, Any]:
    """The settings of a fit that begins with it."""
    reference = checkpoint.reference
    path = str(data_folder() / reference) if "/" in reference else reference
    given = {"backbone": path, "weights": checkpoint.weights, "runner": "eager"}
    sized = {"backbone": {"image_size": SIDE}}
    if not checkpoint.epochs:
        return {**given, "settings": sized}
    _fitted(drawn_pictures(OWN, 60, 0), given, {**sized, **_tuning(checkpoint.epochs)}, "full", folder / "own")
    return {"backbone": str(folder / "own"), "weights": "pretrained", "runner": "eager", "settings": {}}


def _one(case: str, start: Mapping[str, Any], steps: int, folder: Path) -> dict[str, Any]:
    data, per_class = case.split("/")
    frame = drawn_pictures(data, int(per_class), 0)
    given = {key: value for key, value in start.items() if key not in ("settings", "backbone")}
    plan = Plan(data="<made>", columns=Columns.model_validate(COLUMNS), settings=start["settings"], **given)
    row = run_selection(frame, plan, [start["backbone"]], Quiet()).backbones[0]
    batches = max(1, round(int((frame["part"] == "train").sum()) / BATCH))
    settings = {**start["settings"], **_tuning(-(-steps // batches))}
    given = {key: value for key, value in start.items() if key != "settings"}
    tuned = _fitted(frame, given, settings, "partial", folder / case.replace("/", "_"))
    return {"scores": {"probe": row.figure.value, **row.scores}, "tuned": tuned}


def _tuning(epochs: int) -> dict[str, Any]:
    return {"tuning": {"epochs": epochs, "patience": epochs, "batch_size": BATCH}}


def _fitted(
    frame: pd.DataFrame, given: Mapping[str, Any], settings: Mapping[str, Any], tuning: str, out: Path
) -> float:
    """Return the test accuracy of the model of a fit."""
    run = headstart.fit(frame, tuning=tuning, settings=settings, scratch=False, out=out, **COLUMNS, **given)
    return float(run.record.arms["model"].figures["accuracy"].value)


if __name__ == "__main__":
    said, count, *asked = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):
        answer = cell(said, int(count), asked)
    print(json.dumps(answer))
