"""One fit of the benchmark of detection, in a process of its own.

python -m benchmarks._detection_cell (frozen | tuned) BACKBONE EPOCHS
python -m benchmarks._detection_cell few BACKBONE EPOCHS LABELS DRAW
python -m benchmarks._detection_cell loops BACKBONE EPOCHS
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._data import data_folder
from headstart import Run, fit
from headstart.evidence.comparison import compare
from headstart.kernel import registry
from headstart.pipeline.arms import train_arm
from headstart.pipeline.context import FitContext
from headstart.pipeline.data import Given
from headstart.pipeline.defaults_by_size import for_task
from headstart.pipeline.plan import Plan
from headstart.pipeline.sequence import start
from headstart.pipeline.trained import predict_rows

BCCD = Path("data") / "det_bccd"
RATE = 1e-3
"""Of the backbone's weights where they move; chosen on the validation part."""


def bccd() -> pd.DataFrame:
    """The pictures with their boxes, and the part of each by the lists of the data set."""
    folder = data_folder() / BCCD
    document = json.loads((folder / "coco.json").read_text(encoding="utf-8"))
    names = {one["id"]: one["name"] for one in document["categories"]}
    boxes: dict[int, list[dict[str, Any]]] = {one["id"]: [] for one in document["images"]}
    for one in document["annotations"]:
        left, top, width, height = one["bbox"]
        edges = {"left": left, "top": top, "right": left + width, "bottom": top + height}
        boxes[one["image_id"]].append({"label": names[one["category_id"]], **edges})
    parts = {name: part for part in ("train", "val", "test") for name in (folder / f"{part}.txt").read_text().split()}
    rows = [
        (str(folder / "images" / one["file_name"]), boxes[one["id"]], parts[Path(one["file_name"]).stem])
        for one in document["images"]
    ]
    return pd.DataFrame(rows, columns=["image", "boxes", "part"])


def fitted(
    frame: pd.DataFrame, backbone: str, tuning: str, epochs: int, *, scratch: bool, label_curve: bool = True
) -> dict[str, Any]:
    """The arms of a fit, and the minutes from the data to the report."""
    moved = {"learning_rate": RATE} if tuning == "full" else {}
    own, kept = {"epochs": epochs, **moved}, {} if moved else {"views": 4}
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as out:
        run = fit(
            frame,
            out=Path(out) / "run",
            task="detection",
            backbone=str(data_folder() / "weights" / backbone),
            tuning=tuning,
            augmentation="flip",
            part="part",
            scratch=scratch,
            label_curve=label_curve,
            settings={
                "tuning": own,
                "scratch": {"epochs": epochs, "rates_tried": (1.0,)},
                "augmentation": {**kept, "flip": {"vertical": True}},
            },
        )
        return {"minutes": (time.monotonic() - started) / 60, **_summed(run)}


def few(backbone: str, epochs: int, labels: int, draw: int) -> dict[str, Any]:
    """The frozen head and training from scratch on so many labelled pictures, a fifth of them for validation."""
    frame = bccd()
    pool = frame[frame["part"] != "test"].sample(labels, random_state=draw)
    pool = pool.assign(part=np.where(np.arange(labels) < max(2, labels // 5), "val", "train"))
    whole = pd.concat([pool, frame[frame["part"] == "test"]])
    return fitted(whole, backbone, "head_only", epochs, scratch=True, label_curve=False)


def loops(backbone: str, epochs: int) -> dict[str, Any]:
    """The same head by the same steps: on kept maps, read from the store, and through the backbone in every step."""
    plan = Plan(
        data="<frame>",
        task="detection",
        backbone=str(data_folder() / "weights" / backbone),
        tuning="head_only",
        columns={"part": "part"},
        settings={"tuning": {"epochs": epochs}},
    )
    context = start(Given(bccd()), plan).embedded()
    recipe = for_task(registry.plugin("tuning", "head_only")(epochs=epochs), context.data.task)
    rows = context.data.split.test
    targets, metric = context.data.targets_of(rows), context.data.task.evaluation.primary
    found, seconds = {}, {}
    for name, one in (("kept", context), ("plain", _not_kept(context))):
        began = time.monotonic()
        arm = train_arm(one, name, recipe, name, None)
        seconds[name] = time.monotonic() - began
        found[name] = predict_rows(context, replace(arm, frozen=True), rows)
    difference = compare(metric, targets, found["kept"], found["plain"], seed=0).figure
    values = {name: metric.score(targets, prediction) for name, prediction in found.items()}
    return {"seconds": seconds, "ap": values, "difference": [difference.value, difference.low, difference.high]}


def _not_kept(context: FitContext) -> FitContext:
    """Without what the frozen pass has kept, and without room to keep anything."""
    spec = replace(context.features.spec, keep="features")
    store = None if context.store is None else type(context.store)(limit=1)
    return replace(context, features=replace(context.features, spec=spec), store=store)


def _summed(run: Run) -> dict[str, Any]:
    arms = {
        key: {
            "figures": {name: row.model_dump() for name, row in arm.figures.items()},
            "chosen": dict(arm.chosen),
            "seconds": round(arm.seconds, 1),
            "shortcoming": arm.shortcoming,
        }
        for key, arm in run.record.arms.items()
    }
    against: Mapping[str, Any] = {one.against: one.difference.model_dump() for one in run.record.comparisons}
    times = {name: round(seconds, 1) for name, seconds in run.record.times.items()}
    return {"arms": arms, "against": dict(against), "times": times}


if __name__ == "__main__":
    kind, weights, length, *more = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):
        if kind == "few":
            answer = few(weights, int(length), *map(int, more))
        elif kind == "loops":
            answer = loops(weights, int(length))
        else:
            tuning = "head_only" if kind == "frozen" else "full"
            answer = fitted(bccd(), weights, tuning, int(length), scratch=kind == "tuned")
    print(json.dumps(answer))
