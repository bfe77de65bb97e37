"""Do the 95 % intervals of accuracy cover? Resampled test sets against the figure on all the data.

A probe's predictions on a large test part stand for the world; its accuracy there is the truth. Test sets of several
sizes are drawn from it with replacement, an interval is made of each, and counted is how many hold the truth.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks._data import data_folder
from headstart.contracts.prediction import Prediction
from headstart.contracts.task import BoundTask, Targets
from headstart.evidence.comparison import figures
from headstart.pipeline.arms import predict_rows, solve_arm
from headstart.pipeline.plan import Plan
from headstart.pipeline.sequence import start

CASES = 500
SIZES = (50, 100, 200, 400)
DATA = {"text_sst2": "data/text_sst2", "text_sms_spam": "data/text_sms_spam/all.csv"}


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """Coverage over 500 cases, spread evenly over two data sets and four sizes; with `full` 500 cases in each."""
    data = ("text_sst2",) if quick else tuple(DATA)
    each = CASES if full else CASES // (len(data) * len(SIZES)) + 1
    covered: dict[str, list[bool]] = {}
    truths = {}
    for name in data:
        task, targets, prediction = _world(name)
        truths[name] = figures(task, targets, prediction, seed=0)["accuracy"].value
        for size in SIZES:
            draws = np.random.default_rng([size, len(name)])
            found = [_covers(task, targets, prediction, size, draws, truths[name]) for _ in range(each)]
            covered[f"{name}, {size} examples"] = found
    everything = [answer for found in covered.values() for answer in found]
    shares = {name: round(100 * float(np.mean(found)), 1) for name, found in covered.items()}
    measured: dict[str, float | None] = {"intervals.coverage": 100 * float(np.mean(everything))}
    return measured, {"cases": len(everything), "coverage": shares, "truth": truths}


def _world(name: str) -> tuple[BoundTask, Targets, Prediction]:
    plan = Plan(data=str(data_folder() / DATA[name]), backbone="all-MiniLM-L6-v2")
    context = start(plan.data, plan).embedded()
    data = context.data
    test = data.split.test
    return data.task, data.targets_of(test), predict_rows(context, solve_arm(context, "model"), test)


def _covers(
    task: BoundTask, targets: Targets, prediction: Prediction, size: int, draws: np.random.Generator, truth: float
) -> bool:
    rows = draws.integers(0, len(prediction), size)
    sample = {name: values[rows] for name, values in targets.items()}
    figure = figures(task, sample, prediction.take(rows), seed=int(draws.integers(2**31)))["accuracy"]
    return figure.low <= truth <= figure.high
