"""Learning without labels: what is lost beside the computing, the speed beside lightly's example, and the memory.

Time: SimCLR on a ResNet-18 at 32 pixels in batches of 256, on 4096 JPEGs, in each program as it comes. lightly's is the
loop of its example `simclr.py`, with its transform, its loss and two workers. The best epoch after the first counts, in
several processes that take turns, so that both see the same machine.

What is lost is the share of an epoch's time in which the training does something else than forward, backward and
optimiser, and waits for something else than augmentation: reading, gathering, book-keeping.

Memory: private memory of the process at its highest, over listing and 20 steps, with 1,000,000 listed pictures (links
to 200 files) against 10,000; and the time from the start of the process to the first step.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks._harness import FOLDER

PICTURES, SIDE, EPOCHS = 4096, 32, 4
FEW, MANY, PER_FOLDER = 10_000, 1_000_000, 10_000
FILES = 200


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """3 turns; `full`: 7; `quick`: 1, of 512 pictures, and 20,000 listed ones."""
    turns, pictures, many = (1, 512, 20_000) if quick else (7 if full else 3, PICTURES, MANY)
    with tempfile.TemporaryDirectory() as folder:
        _files(Path(folder, "all"), pictures)
        programs = ("headstart", "lightly")
        rounds = [{name: _cell(name, folder, "all", EPOCHS) for name in programs} for _ in range(turns)]
        seconds = {name: min(one[name]["seconds"] for one in rounds) for name in programs}
        _files(Path(folder, "files"), FILES)
        memory = {}
        for count in (FEW, many):
            _links(Path(folder, f"{count}"), Path(folder, "files"), count)
            memory[count] = _cell("memory", folder, str(count), 20)
    measured: dict[str, float | None] = {
        "pretraining_speed.lost": min(100 * one["headstart"]["lost"] for one in rounds),
        "pretraining_speed.times_lightly": seconds["lightly"] / seconds["headstart"],
        "pretraining_speed.memory": memory[many]["peak_mb"] - memory[FEW]["peak_mb"],
        "pretraining_speed.first_step": memory[many]["first_step"],
    }
    return measured, {"pictures": pictures, "listed": many, "turns": rounds, "memory": memory}


def _cell(program: str, home: str, name: str, number: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks._pretraining_speed_cell", program, f"{home}/{name}", str(number)]
    done = subprocess.run(command, cwd=FOLDER.parent, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _files(folder: Path, count: int) -> None:
    """Small different JPEGs."""
    folder.mkdir()
    draws = np.random.default_rng(0)
    for number in range(count):
        pixels = draws.integers(0, 256, (4, 4, 3), np.uint8)
        Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(folder / f"{number:05d}.jpg")


def _links(folder: Path, files: Path, count: int) -> None:
    targets = sorted(files.iterdir())
    for number in range(count):
        beneath = folder / f"{number // PER_FOLDER:03d}"
        if number % PER_FOLDER == 0:
            beneath.mkdir(parents=True)
        (beneath / f"{number:07d}.jpg").symlink_to(targets[number % len(targets)])
