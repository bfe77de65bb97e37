"""Equal time, equal labels, equal weights: `--budget` against the usual ways, on two cores.

A cell is a method on some labels per class of a data set, in a process of its own; finished ones are kept until all
are, so that an interrupted run goes on. Methods are ranked by test accuracy within each data set, number of labels and
seed, equal ones sharing their ranks. The lead over a rival is the mean difference in rank over the cells that it has:
SetFit is for texts alone, and Trainer for all of the time, beside Trainer at its defaults, has the first seed. Its 95 %
interval is bootstrapped over these cells; against the scikit-learn probe the difference in accuracy has one that is
paired by example. The real image weights get BatchNorm statistics first, for everybody: see `_unfolded.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from scipy.stats import rankdata

from benchmarks._cells import cell
from benchmarks._equal_time_cell import AUTO
from benchmarks._paired import mean_interval, paired_interval
from benchmarks._rivals import RIVALS

IMAGES = ("data/img_ants_bees", "data/img_cats_dogs", "data/img_brain_mri")
TEXTS = ("data/text_sst2", "data/text_tweeteval/emotion", "data/text_tweeteval/irony")
PROBE, TEXT_ONLY, FIRST_SEED_ONLY = "sklearn_probe", "setfit", "trainer_all_time"

Case = tuple[str, int, int]
"""Data, labels per class, seed."""


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """4 data sets x 8 and 32 labels x 2 seeds in 60 s; `full`: 6 x 3 x 3 in 180 s; `quick`: 2 x 1 x 1 in 20 s."""
    seconds, cases = _grid(quick, full)
    cells = {case: {method: _cell(method, case, seconds) for method in _methods(case)} for case in cases}
    leads = _leads([_ranks(found) for found in cells.values()])
    below = [
        case for case, found in cells.items() if paired_interval(found[AUTO]["right"], found[PROBE]["right"])[2] < 0
    ]
    shown = {"/".join(map(str, case)): found for case, found in cells.items()}
    measured: dict[str, float | None] = {
        "equal_time.rank_lead": min(mean for mean, _, _ in leads.values()),
        "equal_time.rank_lead.low": min(low for _, low, _ in leads.values()),
        "equal_time.below_probe": float(len(below)),
    }
    return measured, {"seconds": seconds, "rank_leads": leads, "below_probe": below, "cells": _brief(shown)}


def _grid(quick: bool, full: bool) -> tuple[float, list[Case]]:
    if quick:
        return 20.0, [(IMAGES[0], 8, 0), (TEXTS[0], 8, 0)]
    if full:
        return 180.0, list(product((*IMAGES, *TEXTS), (8, 32, 128), (0, 1, 2)))
    return 60.0, list(product((*IMAGES[:2], *TEXTS[:2]), (8, 32), (0, 1)))


def _methods(case: Case) -> list[str]:
    data, _, seed = case
    left_out = {*(() if data in TEXTS else (TEXT_ONLY,)), *((FIRST_SEED_ONLY,) if seed else ())}
    return [AUTO, *(name for name in RIVALS if name not in left_out)]


def _cell(method: str, case: Case, seconds: float) -> dict[str, Any]:
    return cell("equal_time", "benchmarks._equal_time_cell", [method, *map(str, case), str(seconds)])


def _ranks(found: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Method -> its rank in one case, 1 being the best."""
    return dict(zip(found, rankdata([-one["accuracy"] for one in found.values()]).tolist()))


def _leads(ranks: Sequence[Mapping[str, float]]) -> dict[str, tuple[float, float, float]]:
    """Rival -> by how many ranks auto is ahead of it, with the interval, over the cases that have it."""
    rivals = dict.fromkeys(rival for found in ranks for rival in found if rival != AUTO)
    return {rival: mean_interval([found[rival] - found[AUTO] for found in ranks if rival in found]) for rival in rivals}


def _brief(cells: dict[str, dict[str, dict[str, Any]]]) -> dict[str, Any]:
    return {
        case: {method: {key: value for key, value in one.items() if key != "right"} for method, one in found.items()}
        for case, found in cells.items()
    }
