"""Segmentation from the ImageNet MobileNetV2: nuclei with all labels and with 16, blood cells of two laboratories.

Every fit is the product's own, its figures those of its own test part, which nothing was chosen on. With 16 labels the
model and training from scratch see the same pictures, the test part is that of the fit on all labels, and the interval
is over draws of the 16. Training from scratch has what the model leaves of the budget, which is several times its time.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._data import data_folder
from headstart import Run, evaluate, fit
from headstart.evidence.comparison import paired_over_draws

BATCH = {"batch_size": 8}
SETTINGS: dict[str, dict[str, Any]] = {"tuning": BATCH, "scratch": BATCH}
LABELS = 16
DRAWS = 5
BUDGET = 500.0
"""Seconds from the data to the final model, so that the fit with its judging and report stays within 10 minutes."""
BUDGET_OF_CELLS = 300.0
BUDGET_OF_FEW = 240.0
"""More than the model needs for its epochs: the rest goes to training from scratch at its three rates."""


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:  # noqa: ARG001
    """All figures; with `quick` short trainings and two draws."""
    data = data_folder() / "data"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        nuclei, minutes = _timed(data / "seg_nuclei_dsb2018", out / "nuclei", 60.0 if quick else BUDGET)
        gains, few = [], []
        for draw in range(2 if quick else DRAWS):
            some = _draw(nuclei, data / "seg_nuclei_dsb2018", out / f"draw{draw}", draw)
            learnt = _fit(some, out / f"few{draw}", 120.0 if quick else BUDGET_OF_FEW, scratch=True)
            against = next(c for c in learnt.record.comparisons if c.against == "scratch")
            gains.append(against.difference.value)
            few.append(_figures(learnt))
        gain = paired_over_draws(gains).figure
        cells, _ = _timed(data / "seg_wbc" / "dataset1", out / "cells", 60.0 if quick else BUDGET_OF_CELLS)
        elsewhere = evaluate(cells.folder, data / "seg_wbc" / "dataset2")
        measured = {
            "segmentation.nuclei": nuclei.metrics["test"]["dice"]["value"],
            "segmentation.nuclei.minutes": minutes,
            "segmentation.nuclei.gain_at_16": gain.value,
            "segmentation.nuclei.gain_at_16.low": gain.low,
            "segmentation.cells": cells.metrics["test"]["iou"]["value"],
        }
        details = {
            "nuclei": _figures(nuclei),
            "few_labels": {"draws": few, "gain": gain.to_json()},
            "cells": _figures(cells),
            "cells_of_another_laboratory": {name: row.model_dump() for name, row in elsewhere.figures.items()},
        }
    return measured, details


def _timed(data: Path, out: Path, budget: float) -> tuple[Run, float]:
    """A fit and its minutes from data to report."""
    started = time.monotonic()
    return _fit(data, out, budget, scratch=False), (time.monotonic() - started) / 60


def _fit(data: Path, out: Path, budget: float, *, scratch: bool) -> Run:
    backbone = str(data_folder() / "weights" / "mobilenetv2_100_imagenet")
    return fit(
        data,
        out=out,
        backbone=backbone,
        tuning="full",
        augmentation="affine",
        budget=budget,
        scratch=scratch,
        settings=SETTINGS,
    )


def _draw(run: Run, data: Path, folder: Path, draw: int) -> Path:
    """A folder of links: 16 pictures of the run's training part, drawn, and its test part."""
    parts = _parts(run)
    rng = np.random.default_rng(draw)
    chosen = {"train": sorted(rng.permutation(sorted(parts["train"]))[:LABELS].tolist()), "test": parts["test"]}
    for part, origins in chosen.items():
        for kind in ("images", "masks"):
            (folder / part / kind).mkdir(parents=True)
        for origin in origins:
            picture = data / origin
            mask = data / "masks" / f"{picture.stem}.png"
            os.symlink(picture, folder / part / "images" / picture.name)
            os.symlink(mask, folder / part / "masks" / mask.name)
    return folder


def _parts(run: Run) -> dict[str, list[str]]:
    """Part -> the pictures in it."""
    split = pd.read_csv(run.folder / "split.csv")
    return {str(part): sorted(rows["origin"]) for part, rows in split.groupby("part")}


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
