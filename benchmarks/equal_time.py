"""Equal time, equal labels, equal weights: `--budget` against the usual ways, on two cores.

A cell is a method on some labels per class of a data set, in a process of its own; finished ones are kept until all
are, so that an interrupted run goes on. Methods are ranked by test accuracy within each data set, number of labels and
seed, equal ones sharing their ranks, and the ranks averaged over all of these. Against the scikit-learn probe the
difference in accuracy is paired by example, with a 95 % bootstrap interval. The real image weights get BatchNorm
statistics first, for everybody: see `_unfolded.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from scipy.stats import rankdata

from benchmarks._cells import cell
from benchmarks._equal_time_cell import AUTO
from benchmarks._paired import paired_interval
from benchmarks._rivals import RIVALS

IMAGES = ("data/img_ants_bees", "data/img_cats_dogs", "data/img_brain_mri")
TEXTS = ("data/text_sst2", "data/text_tweeteval/emotion", "data/text_tweeteval/irony")
PROBE, TEXT_ONLY = "sklearn_probe", ("setfit",)

Case = tuple[str, int, int]
"""Data, labels per class, seed."""


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """4 data sets x 8 and 32 labels x 2 seeds in 60 s; `full`: 6 x 3 x 3 in 180 s; `quick`: 2 x 1 x 1 in 20 s."""
    seconds, cases = _grid(quick, full)
    cells = {case: {method: _cell(method, case, seconds) for method in _methods(case)} for case in cases}
    ranks = _mean_ranks(list(cells.values()))
    below = [
        case for case, found in cells.items() if paired_interval(found[AUTO]["right"], found[PROBE]["right"])[2] < 0
    ]
    lead = min(rank for method, rank in ranks.items() if method != AUTO) - ranks[AUTO]
    shown = {"/".join(map(str, case)): found for case, found in cells.items()}
    measured: dict[str, float | None] = {"equal_time.rank_lead": lead, "equal_time.below_probe": float(len(below))}
    return measured, {"seconds": seconds, "mean_ranks": ranks, "below_probe": below, "cells": _brief(shown)}


def _grid(quick: bool, full: bool) -> tuple[float, list[Case]]:
    if quick:
        return 20.0, [(IMAGES[0], 8, 0), (TEXTS[0], 8, 0)]
    if full:
        return 180.0, list(product((*IMAGES, *TEXTS), (8, 32, 128), (0, 1, 2)))
    return 60.0, list(product((*IMAGES[:2], *TEXTS[:2]), (8, 32), (0, 1)))


def _methods(case: Case) -> list[str]:
    return [AUTO, *(name for name in RIVALS if case[0] in TEXTS or name not in TEXT_ONLY)]


def _cell(method: str, case: Case, seconds: float) -> dict[str, Any]:
    return cell("equal_time", "benchmarks._equal_time_cell", [method, *map(str, case), str(seconds)])


def _mean_ranks(groups: Sequence[dict[str, dict[str, Any]]]) -> dict[str, float]:
    """Method -> its mean rank, 1 being the best; where a method has no cell it is not counted."""
    found: dict[str, list[float]] = {}
    for group in groups:
        for method, rank in zip(group, _ranks([one["accuracy"] for one in group.values()])):
            found.setdefault(method, []).append(rank)
    return {method: float(np.mean(ranks)) for method, ranks in found.items()}


def _ranks(accuracies: Sequence[float]) -> Iterator[float]:
    yield from (float(rank) for rank in rankdata([-accuracy for accuracy in accuracies]))


def _brief(cells: dict[str, dict[str, dict[str, Any]]]) -> dict[str, Any]:
    return {
        case: {method: {key: value for key, value in one.items() if key != "right"} for method, one in found.items()}
        for case, found in cells.items()
    }
