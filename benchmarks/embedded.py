"""What the embedded image backbone is worth: against the same network from scratch, and below ImageNet's.

A cell is a start on one draw of 10 or 50 labels per class: the embedded weights, random ones (the best of three
learning rates on validation, each for as long as the fine-tuning; the same augmentation), and as the upper line a
probe on MobileNetV2 from ImageNet, at 224 pixels, where fine-tuning makes no dozen steps in that time. How it is
fine-tuned was chosen on the data of `embedded_choice`. Two cells run at a time, with a core each. Differences are
paired by draw; their 95 % intervals are Student's over the draws. Finished cells are kept in
`results/cells/embedded.json`, so that an interrupted run goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from benchmarks._cells import cells
from benchmarks._drawn_pictures import ARRAYS, FOLDERS
from benchmarks._embedded_cell import STARTS
from benchmarks._paired import interval_over_draws

Case = tuple[str, int]
"""Data and labels per class."""

PER_CLASS = (10, 50)
COLUMNS = {**{start: (start, "accuracy") for start in STARTS}, "embedded_probe": ("embedded", "probe")}
"""What is told of a case, by start and figure of its cells."""


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """5 data sets x 10 and 50 labels x 5 draws, 20 s of fine-tuning; `full`: 10 draws, 60 s; `quick`: 2 x 10 x 2."""
    seconds, draws = (10.0, 2) if quick else (60.0, 10) if full else (20.0, 5)
    names = [*ARRAYS, *FOLDERS][: 2 if quick else None]
    cases = list(product(names, PER_CLASS[:1] if quick else PER_CLASS))
    found = _accuracies(cases, draws, seconds)
    gains = {case: interval_over_draws(100 * (of["embedded"] - of["scratch"])) for case, of in found.items()}
    measured: dict[str, float | None] = {
        "embedded.better": float(sum(low > 0 for _, low, _ in gains.values())),
        "embedded.worse": float(sum(high < 0 for _, _, high in gains.values())),
        "embedded.gain_at_10": float(np.mean([gain[0] for (_, count), gain in gains.items() if count == 10])),
    }
    rows = [_row(case, found[case], gains[case]) for case in cases]
    return measured, {"seconds": seconds, "draws": draws, "cases": rows}


def _accuracies(cases: Sequence[Case], draws: int, seconds: float) -> dict[Case, dict[str, np.ndarray]]:
    """(draws,) of each column, by case."""
    wanted = list(product(cases, STARTS, range(draws)))
    names = [[start, data, str(count), str(draw), str(seconds)] for (data, count), start, draw in wanted]
    made = dict(zip(wanted, cells("embedded", "benchmarks._embedded_cell", names)))
    return {
        case: {
            column: np.array([made[case, start, draw][figure] for draw in range(draws)])
            for column, (start, figure) in COLUMNS.items()
        }
        for case in cases
    }


def _row(case: Case, found: dict[str, np.ndarray], gain: tuple[float, float, float]) -> dict[str, Any]:
    means = {column: round(100 * float(values.mean()), 1) for column, values in found.items()}
    return {"data": case[0], "labels_per_class": case[1], **means, "gain": [round(value, 1) for value in gain]}
