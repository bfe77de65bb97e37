"""One fit of the benchmark of segmentation, in a process of its own.

python -m benchmarks._segmentation_cell (nuclei | cells) SECONDS
python -m benchmarks._segmentation_cell few SECONDS DRAW
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._data import data_folder
from headstart import Run, evaluate, fit
from headstart.contracts.modality import raws_of
from headstart.pipeline.data import Given
from headstart.pipeline.plan import Plan
from headstart.pipeline.sequence import start

NUCLEI = Path("data") / "seg_nuclei_dsb2018"
CELLS = Path("data") / "seg_wbc"
BATCH = {"batch_size": 8}
LABELS = 16


def nuclei(seconds: float) -> dict[str, Any]:
    """The model on all labels; the minutes are those from the data to the report."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as out:
        found = _fit(data_folder() / NUCLEI, Path(out) / "run", seconds)
        return {"minutes": (time.monotonic() - started) / 60, "arms": _figures(found)}


def cells(seconds: float) -> dict[str, Any]:
    """The model on the cells of one laboratory, and on those of another as it is."""
    with tempfile.TemporaryDirectory() as out:
        found = _fit(data_folder() / CELLS / "dataset1", Path(out) / "run", seconds)
        elsewhere = evaluate(found.folder, data_folder() / CELLS / "dataset2")
        figures = {name: row.model_dump() for name, row in elsewhere.figures.items()}
        return {"arms": _figures(found), "another_laboratory": figures}


def few(seconds: float, draw: int) -> dict[str, Any]:
    """The model and training from scratch on 16 of the labels, each at the best of its rates on validation."""
    with tempfile.TemporaryDirectory() as out:
        some = _draw(data_folder() / NUCLEI, Path(out) / "data", draw)
        found = _fit(some, Path(out) / "run", seconds, scratch=True, rates_tried=(1.0, 3.0))
        gain = next(one.difference.value for one in found.record.comparisons if one.against == "scratch")
        return {"gain": gain, "arms": _figures(found)}


def _fit(data: Path, out: Path, seconds: float, *, scratch: bool = False, **tuning: Any) -> Run:
    backbone = str(data_folder() / "weights" / "mobilenetv2_100_imagenet")
    settings = {"tuning": {**BATCH, **tuning}, "scratch": BATCH}
    return fit(
        data,
        out=out,
        backbone=backbone,
        tuning="full",
        augmentation="affine",
        budget=seconds,
        scratch=scratch,
        settings=settings,
    )


def _draw(data: Path, folder: Path, draw: int) -> Path:
    """A folder of links: 16 pictures of the training part of a fit on all labels, drawn, and its test part."""
    prepared = start(Given(data), Plan(data=str(data))).data
    paths = np.array([Path(str(raw)) for raw in raws_of(prepared.examples)])
    train = sorted(paths[prepared.split.train])
    chosen = np.random.default_rng(draw).permutation(len(train))[:LABELS]
    parts = {"train": [train[number] for number in chosen], "test": list(paths[prepared.split.test])}
    for part, pictures in parts.items():
        for picture in pictures:
            for kind, path in (("images", picture), ("masks", data / "masks" / f"{picture.stem}.png")):
                link = folder / part / kind / path.name
                link.parent.mkdir(parents=True, exist_ok=True)
                os.symlink(path, link)
    return folder


def _figures(run: Run) -> dict[str, Any]:
    """Every arm's figures and what was chosen for it."""
    return {
        key: {
            "figures": {name: row.model_dump() for name, row in arm.figures.items()},
            "chosen": dict(arm.chosen),
            "seconds": arm.seconds,
        }
        for key, arm in run.record.arms.items()
    }


if __name__ == "__main__":
    candidate, time_given, *draws = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):
        if candidate == "few":
            answer = few(float(time_given), int(draws[0]))
        else:
            answer = nuclei(float(time_given)) if candidate == "nuclei" else cells(float(time_given))
    print(json.dumps(answer))
