"""One fit of `full` under a budget, from an empty cache, in a process of its own.

python -m benchmarks._full_floor_cell DATA LABELS SECONDS SEED
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import headstart
from benchmarks._data import data_folder, own_cache
from benchmarks._few_labels import MOST_TESTED, few_labels
from headstart.pipeline.record import TUNED, RunRecord

WEIGHTS = "weights/mobilenetv2_100_imagenet"
JUDGED = 5
"""One of so many sentences serves as validation."""


def one(data: str, labels: int, budget: float, seed: int) -> dict[str, Any]:
    """The paired differences to the probe on the test part: of what is shipped, and of the fine-tuning."""
    with own_cache(), tempfile.TemporaryDirectory() as out:
        given, columns = _data(data, labels, seed, Path(out))
        backbone = str(data_folder() / WEIGHTS) if data.startswith("img_") else "all-MiniLM-L6-v2"
        run = headstart.fit(
            given,
            out=Path(out) / "run",
            backbone=backbone,
            tuning="full",
            budget=budget,
            scratch=False,
            seed=seed,
            **columns,
        )
        record = run.record
    beside, better = record.arms.get(TUNED), "probe" in record.arms
    tuned = record.arms["model"] if better else beside
    shipped = _against(record, "probe", 1.0) if better else {"value": 0.0, "verdict": "the probe itself"}
    return {
        "shipped": shipped,
        "tuned": shipped if better else {} if tuned is None else _against(record, TUNED, -1.0),
        "metric": record.primary_metric,
        "figure": record.arms["model"].figures[record.primary_metric].value,
        "epochs": len(tuned.history) if tuned else 0,
        "cut_off": record.cut_off,
        "used": record.budget.used if record.budget else None,
    }


def _against(record: RunRecord, other: str, sign: float) -> dict[str, Any]:
    """The fine-tuning minus the probe; `sign` is -1 where the record has the probe minus the fine-tuning."""
    found = next(comparison for comparison in record.comparisons if comparison.against == other)
    low, high = sorted((sign * found.difference.low, sign * found.difference.high))
    verdict = found.verdict if sign > 0 else {"better": "worse", "worse": "better"}.get(found.verdict, found.verdict)
    return {"value": sign * found.difference.value, "low": low, "high": high, "verdict": verdict}


def _data(data: str, labels: int, seed: int, folder: Path) -> tuple[Any, dict[str, Any]]:
    """A draw of the training part with a fixed test part, and its columns."""
    if data.startswith("ner_"):
        return _sentences(data_folder() / "data" / data, labels, seed, folder / "data"), {}
    drawn = few_labels(data_folder() / "data" / data, labels, seed)
    return drawn.frame(), {drawn.modality: "input", "label": "label", "part": "part"}


def _sentences(source: Path, count: int, seed: int, folder: Path) -> Path:
    """A folder of CoNLL files with so many sentences to learn from."""
    known, unseen = ((source / f"{part}.conll").read_text("utf-8").strip().split("\n\n") for part in ("train", "test"))
    order = np.random.default_rng(seed).permutation(len(known))[:count]
    test = np.random.default_rng(0).permutation(len(unseen))[:MOST_TESTED]
    parts = {"dev": order[: count // JUDGED], "train": order[count // JUDGED :]}
    folder.mkdir()
    for part, rows in parts.items():
        (folder / f"{part}.conll").write_text("\n\n".join(known[row] for row in rows) + "\n", "utf-8")
    (folder / "test.conll").write_text("\n\n".join(unseen[row] for row in test) + "\n", "utf-8")
    return folder


if __name__ == "__main__":
    what, number, seconds, draw = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):
        answer = one(what, int(number), float(seconds), int(draw))
    print(json.dumps(answer))
