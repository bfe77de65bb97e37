"""What the embedded image backbone is worth: against the same network from scratch, and below ImageNet's.

A cell is a start on one draw of 10 or 50 labels per class: the embedded weights, random ones (the best of three
learning rates on validation, each for as long as the fine-tuning), and MobileNetV2 from ImageNet as the upper line. All
have the same augmentation. Differences are paired by draw; their 95 % intervals are Student's over the draws. Finished
cells are kept in `results/cells/embedded.json`, so that an interrupted run goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from benchmarks._cells import cell
from benchmarks._drawn_pictures import ARRAYS, FOLDERS
from benchmarks._embedded_cell import STARTS
from benchmarks._paired import interval_over_draws

PER_CLASS = (10, 50)


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """5 data sets x 10 and 50 labels x 5 draws, 20 s of fine-tuning; `full`: 10 draws, 60 s; `quick`: 2 x 10 x 2."""
    seconds, draws = (10.0, 2) if quick else (60.0, 10) if full else (20.0, 5)
    names = [*ARRAYS, *FOLDERS][: 2 if quick else None]
    cases = list(product(names, PER_CLASS[:1] if quick else PER_CLASS))
    found = {case: {start: _accuracies(start, case, draws, seconds) for start in STARTS} for case in cases}
    gains = {case: interval_over_draws(100 * (of["embedded"] - of["scratch"])) for case, of in found.items()}
    measured: dict[str, float | None] = {
        "embedded.better": float(sum(low > 0 for _, low, _ in gains.values())),
        "embedded.worse": float(sum(high < 0 for _, _, high in gains.values())),
        "embedded.gain_at_10": float(np.mean([gain[0] for (_, count), gain in gains.items() if count == 10])),
    }
    rows = [_row(case, found[case], gains[case]) for case in cases]
    return measured, {"seconds": seconds, "draws": draws, "cases": rows}


def _accuracies(start: str, case: tuple[str, int], draws: int, seconds: float) -> np.ndarray:
    arguments: Sequence[str] = [start, case[0], str(case[1])]
    names = [[*arguments, str(draw), str(seconds)] for draw in range(draws)]
    cells = [cell("embedded", "benchmarks._embedded_cell", name) for name in names]
    return np.array([one["accuracy"] for one in cells])


def _row(case: tuple[str, int], found: dict[str, np.ndarray], gain: tuple[float, float, float]) -> dict[str, Any]:
    means = {start: round(100 * float(values.mean()), 1) for start, values in found.items()}
    return {"data": case[0], "labels_per_class": case[1], **means, "gain": [round(value, 1) for value in gain]}
