"""How many generated pictures of 64 pixels two cores make in a second, all formulas in their shares."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Sequence
from typing import Any

from recipes.formula.pictures import kind_of, picture

CORES, SIDE, CLASSES = 2, 64, 100


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """The median of 5 rounds (`quick`: 2, `full`: 15) of 2000 pictures, the processes begun and the classes drawn."""
    rounds = 2 if quick else 15 if full else 5
    per_class = 2000 // (CORES * CLASSES)
    with multiprocessing.get_context("spawn").Pool(CORES) as pool:
        parts = [(SIDE, range(core * per_class, (core + 1) * per_class)) for core in range(CORES)]
        pool.map(_made, parts, chunksize=1)
        speeds = []
        for _ in range(rounds):
            began = time.perf_counter()
            made = sum(pool.map(_made, parts, chunksize=1))
            speeds.append(made / (time.perf_counter() - began))
    return {"formula_pictures.speed": statistics.median(speeds)}, {"speeds": [round(speed) for speed in speeds]}


def _made(part: tuple[int, Sequence[int]]) -> int:
    side, numbers = part
    for number in range(CLASSES):
        kind_of(0, number)
        for index in numbers:
            picture(0, number, index, side)
    return CLASSES * len(numbers)
