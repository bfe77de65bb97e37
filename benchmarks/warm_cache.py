"""What a second look costs: the same fit again, after one corrected label, and after a tenth of the files is new.

2000 photographs and drawings, resnet50 at 224 px (random weights: only time matters), no training from scratch. Time is
from the data to the trained probe, as the run itself records it; judging and report are left out.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks._data import data_folder, own_cache
from headstart import Run, fit

IMAGES, NEW = 2000, 200
STEPS = ("reading and splitting the data", "loading the backbone", "the frozen pass", "the probe")


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:  # noqa: ARG001
    """Ratio of the second time to the first, and how much was computed that need not have been."""
    images, new, backbone = (300, 30, "resnet18") if quick else (IMAGES, NEW, "resnet50")
    with tempfile.TemporaryDirectory() as folder, own_cache():
        data = Path(folder) / "data"
        spare = _copy(data, images, new)

        def once(name: str) -> Run:
            return fit(data, out=Path(folder) / name, backbone=backbone, weights="random", scratch=False)

        first = once("first")
        again = [once(f"again-{k}") for k in range(3)]
        corrected = next((data / "dog").iterdir())
        shutil.move(corrected, data / "horse" / corrected.name)
        relabelled = once("relabelled")
        for source, target in spare:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
        grown = once("grown")
        seconds = {"first": _seconds(first), "again": statistics.median(_seconds(run) for run in again)}
        measured: dict[str, float | None] = {
            "warm_cache.ratio": seconds["again"] / seconds["first"],
            "warm_cache.only_new_label": float(relabelled.record.frozen_pass.computed),
            "warm_cache.only_new_files": float(grown.record.frozen_pass.computed - new),
        }
        runs = {"first": first, "again": again[0], "relabelled": relabelled, "grown": grown}
        steps = {name: {step: run.record.times[step] for step in STEPS} for name, run in runs.items()}
        passes = {name: run.record.frozen_pass.model_dump() for name, run in runs.items()}
        return measured, {"images": images, "backbone": backbone, "seconds": seconds, "steps": steps, "passes": passes}


def _seconds(run: Run) -> float:
    return sum(run.record.times[step] for step in STEPS)


def _copy(data: Path, images: int, new: int) -> list[tuple[Path, Path]]:
    """Lay the images out in class folders; returns what is left for later, as (source, target)."""
    root = data_folder() / "data" / "da_pacs"
    found = sorted(path for path in root.rglob("*") if path.suffix.lower() in (".jpg", ".png"))
    targets = [data / path.parent.name / f"{n:05d}{path.suffix}" for n, path in enumerate(found)]
    step = max(1, len(found) // (images + new))
    pairs = list(zip(found, targets))[::step][: images + new]
    for source, target in pairs[new:]:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    return pairs[:new]
