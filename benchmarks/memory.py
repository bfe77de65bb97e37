"""Private memory (USS, children included) at its highest: 50,000 pictures against 5,000, extraction and prediction."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

from benchmarks._data import own_cache
from benchmarks._memory_pass import NETWORK, SIDE
from headstart import fit

FEW, MANY = 5_000, 50_000
LOOKS_PER_SECOND = 10
MB = 1e6


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:  # noqa: ARG001
    """Growth of the peak in MB."""
    few, many = (100, 500) if quick else (FEW, MANY)
    with tempfile.TemporaryDirectory() as folder, own_cache():
        home = Path(folder)
        _pictures(home / "few", few)
        _pictures(home / "many", many)
        settings = {"backbone": {"image_size": SIDE}}
        fit(home / "few", out=home / "run", backbone=NETWORK, weights="random", settings=settings, scratch=False)
        peaks = {
            task: {name: _peak(task, home / name, home / where) for name in ("few", "many")}
            for task, where in (("extraction", "store"), ("predict", "run"))
        }
    measured: dict[str, float | None] = {f"memory.{task}": peak["many"] - peak["few"] for task, peak in peaks.items()}
    return measured, {"pictures": {"few": few, "many": many}, "peak_mb": peaks}


def _pictures(folder: Path, count: int) -> None:
    """Small different JPEGs in two classes."""
    draws = np.random.default_rng(count)
    for name in ("dark", "light"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        light = number % 2
        pixels = draws.integers(100 * light, 156 + 100 * light, (8, 8, 3), np.uint8)
        picture = Image.fromarray(pixels).resize((SIDE, SIDE))
        picture.save(folder / ("dark", "light")[light] / f"{number:06d}.jpg")


def _peak(task: str, pictures: Path, where: Path) -> float:
    """The highest private memory of a fresh process and its children, in MB."""
    command = [sys.executable, "-m", "benchmarks._memory_pass", task, str(pictures), str(where)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    watched, peak = psutil.Process(process.pid), 0.0
    while process.poll() is None:
        try:
            family = [watched, *watched.children(recursive=True)]
            peak = max(peak, sum(one.memory_full_info().uss for one in family) / MB)
        except psutil.NoSuchProcess:  # a child that ended between two looks
            continue
        time.sleep(1 / LOOKS_PER_SECOND)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed with {process.returncode}")
    return peak
