"""Does the ranking of pretrained models find the one that is best when it is fine-tuned?

Nine meaningful checkpoints of pictures (real ones, the embedded one, own runs of several epochs and widths) on eight
cases of a data set and so many labels per class; two with random weights apart. The scores see the labelled part alone.
The truth of a checkpoint is its test accuracy after `partial` fine-tuning, whose last quarter of stages moves, at 128
pixels: a full one would take hours. Regret is what the top pick is below the best. Picks are those of the rule of
`select`, the highest cross-validated probe, of equal ones the smaller, as speed is not measured; of each other score
alone; and of the size prior. Nothing is chosen by the test parts. The CIFAR ResNets are left out: a fit cannot load
them, as they are no timm models.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import weightedtau

from benchmarks._cells import cells
from benchmarks._ranking_cell import CHECKPOINTS, RANDOM

CASES = (
    "img_ants_bees/15",
    "img_ants_bees/60",
    "img_cats_dogs/15",
    "img_cats_dogs/60",
    "img_brain_mri/20",
    "da_pacs_photo/8",
    "da_pacs_art/15",
    "mnist/8",
)
STEPS = 60
"""Of a fine-tuning, in whole epochs."""
RULE = "select"


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:  # noqa: ARG001
    """Eight cases (`quick`: one, and fewer checkpoints and steps)."""
    cases, steps = (CASES[:1], 4) if quick else (CASES, STEPS)
    meaningful = ["mobilenetv2_100_imagenet", "embedded"] if quick else [*CHECKPOINTS]
    names = [*meaningful, *([] if quick else RANDOM)]
    found = dict(
        zip(names, cells("ranking", "benchmarks._ranking_cell", [[name, str(steps), *cases] for name in names]))
    )
    each = {case: _case({name: found[name][case] for name in meaningful}) for case in cases}
    methods = {
        method: {key: float(np.mean([one[method][key] for one in each.values()])) for key in ("regret", "tau")}
        for method in each[cases[0]]
    }
    ours = methods[RULE]["regret"]
    measured: dict[str, float | None] = {
        "ranking.regret": ours,
        "ranking.beside_others": max(ours - one["regret"] for one in methods.values()),
    }
    return measured, {
        "methods": methods,
        "cases": each,
        "cells": {name: {case: found[name][case] for case in cases} for name in names},
    }


def _case(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Method -> its regret in points and the weighted Kendall tau of its order with the truth."""
    names = list(rows)
    truth = np.array([rows[name]["tuned"] for name in names])
    methods = {
        method: np.array([rows[name]["scores"][method] for name in names]) for method in rows[names[0]]["scores"]
    }
    smaller = np.argsort(np.argsort(-methods["size"]))
    methods[RULE] = methods["probe"] + 1e-9 * smaller  # equal ones by their size, as no time is measured
    return {
        method: {
            "regret": 100 * float(truth.max() - truth[int(np.argmax(values))]),
            "tau": float(np.nan_to_num(weightedtau(truth, values).statistic)),
        }
        for method, values in methods.items()
    }
