"""Do the 95 % intervals cover? Resampled real test sets, and simulated ones in which classes are rare.

Real: a probe's predictions on a large test part stand for the world; its accuracy there is the truth. Test sets of
several sizes are drawn from it with replacement, an interval is made of each, and counted is how many hold the truth.

Simulated: of each test size and prevalence of the rare class, test parts are drawn from worlds in which the classes are
told apart more or less well, as coverage jumps with a single share of few examples (Brown, Cai & DasGupta 2001,
"Interval estimation for a binomial proportion"). A cell counts where half of its test parts or more have an interval.

Two models that answer otherwise on fewer than five examples cannot be told apart at 5 %: a sign test of 4 against 0 has
p = 0.125. Every interval of their difference in accuracy has zero inside, and as the true difference of such models is
near zero, it covers in nearly all cases; so it is with balanced accuracy where they differ on few of the rare class.
`undecidable` is the share of such test parts of each paired cell that is outside.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context
from typing import Any

import numpy as np

from benchmarks._data import data_folder
from benchmarks._interval_worlds import METRICS, World, differences, disagreements, means, singles
from headstart.contracts.prediction import Prediction
from headstart.contracts.task import BoundTask, Targets
from headstart.evidence.comparison import figures
from headstart.kernel.processor import cores
from headstart.pipeline.arms import solve_arm
from headstart.pipeline.data import Given
from headstart.pipeline.plan import Plan
from headstart.pipeline.sequence import start
from headstart.pipeline.trained import predict_rows

CASES = 500
SIZES = (50, 100, 200, 400)
DATA = {"text_sst2": "data/text_sst2", "text_sms_spam": "data/text_sms_spam/all.csv"}

TEST_SIZES = (20, 50, 100, 200, 500, 1000, 2000)
PREVALENCES = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005)
APART = tuple(np.linspace(1.0, 2.4, 8).round(1).tolist())
KINDS: Mapping[str, Callable[[World, int, np.random.Generator], Mapping[str, bool | None]]] = {
    "single": singles,
    "paired": differences,
    "seeds": means,
}
DECIDING = 5
"""Examples on which two models must answer otherwise for a test at 5 % to tell them apart."""
LEAST, GREATEST = 0.92, 0.98
ERRORS = 2.0
"""Standard errors of the simulation by which a cell must leave the range to count as outside."""


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """Coverage on real data over 500 cases, with `full` 500 in each of 8; simulated 240 draws, with `full` 1600."""
    measured, details = _real(quick, full)
    draws = 24 if quick else 1600 if full else 240
    sizes, prevalences = (TEST_SIZES[1::3], PREVALENCES[::3]) if quick else (TEST_SIZES, PREVALENCES)
    for kind in KINDS:
        cases = {_named(n, prevalence): (n, prevalence) for n in sizes for prevalence in prevalences}
        with ProcessPoolExecutor(cores(), get_context("spawn")) as pool:
            counted = pool.map(_cell, repeat(kind), *zip(*cases.values()), repeat(draws))
            cells = dict(zip(cases, counted))
        measured[f"intervals.{kind}.outside"] = float(sum(map(_outside, _shown(cells))))
        details[kind] = {"draws": draws, **_summed(cells)}
        if kind == "paired":
            outside = {cell for one in details[kind].values() if isinstance(one, dict) for cell in one["outside"]}
            details[kind]["undecidable"] = {cell: _undecidable(*cases[cell], draws) for cell in sorted(outside)}
    return measured, details


def _named(n: int, prevalence: float) -> str:
    return f"{n} examples, {prevalence:g} rare"


def _draws(kind: str, n: int, prevalence: float, draws: int) -> Iterator[tuple[World, int, np.random.Generator]]:
    for draw in range(draws):
        generator = np.random.default_rng([draw, n, int(1000 * prevalence), len(kind)])
        yield World(APART[draw % len(APART)], draw // len(APART) % 2 == 0, prevalence), n, generator


def _undecidable(n: int, prevalence: float, draws: int) -> dict[str, float]:
    """Percent of the test parts on which the two models answer otherwise on fewer than `DECIDING` examples."""
    found = np.array([disagreements(*drawn) for drawn in _draws("paired", n, prevalence, draws)])
    shares = 100 * (found < DECIDING).mean(axis=0)
    return {"of all": round(float(shares[0]), 1), "of the rare class": round(float(shares[1]), 1)}


def _cell(kind: str, n: int, prevalence: float, draws: int) -> dict[str, tuple[int, int, int]]:
    """Metric -> how many test parts were covered, had an interval, and were drawn."""
    found: dict[str, list[bool | None]] = {name: [] for name in METRICS}
    for drawn in _draws(kind, n, prevalence, draws):
        covered = KINDS[kind](*drawn)
        for name in METRICS:
            found[name].append(covered.get(name))
    return {
        name: (sum(answer is True for answer in answers), sum(answer is not None for answer in answers), draws)
        for name, answers in found.items()
    }


def _shown(cells: Mapping[str, Mapping[str, tuple[int, int, int]]]) -> list[tuple[int, int, int]]:
    return [counts for cell in cells.values() for counts in cell.values() if 2 * counts[1] >= counts[2]]


def _outside(counts: tuple[int, int, int]) -> bool:
    covered, having, _ = counts
    share = covered / having
    return any(
        side * (share - end) > ERRORS * math.sqrt(end * (1 - end) / having)
        for end, side in ((LEAST, -1), (GREATEST, 1))
    )


def _summed(cells: Mapping[str, Mapping[str, tuple[int, int, int]]]) -> dict[str, Any]:
    """Metric -> cells with an interval, their least, mean and greatest coverage in percent, and those outside."""
    summed: dict[str, Any] = {}
    for name in METRICS:
        shown = {cell: counts[name] for cell, counts in cells.items() if 2 * counts[name][1] >= counts[name][2] > 0}
        shares = {cell: round(100 * counts[0] / counts[1], 1) for cell, counts in shown.items()}
        if shares:
            summed[name] = {
                "cells": len(shares),
                "least": min(shares.values()),
                "mean": round(float(np.mean(list(shares.values()))), 1),
                "greatest": max(shares.values()),
                "outside": {cell: shares[cell] for cell, counts in shown.items() if _outside(counts)},
            }
    return summed


def _real(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    data = ("text_sst2",) if quick else tuple(DATA)
    each = CASES if full else CASES // (len(data) * len(SIZES)) + 1
    covered: dict[str, list[bool]] = {}
    known = {}
    for name in data:
        task, targets, prediction = _world(name)
        known[name] = figures(task.evaluation.metrics, targets, prediction, seed=0)["accuracy"].value
        for size in SIZES:
            draws = np.random.default_rng([size, len(name)])
            found = [_covers(task, targets, prediction, size, draws, known[name]) for _ in range(each)]
            covered[f"{name}, {size} examples"] = found
    everything = [answer for found in covered.values() for answer in found]
    shares = {name: round(100 * float(np.mean(found)), 1) for name, found in covered.items()}
    measured: dict[str, float | None] = {"intervals.coverage": 100 * float(np.mean(everything))}
    return measured, {"cases": len(everything), "coverage": shares, "truth": known}


def _world(name: str) -> tuple[BoundTask, Targets, Prediction]:
    plan = Plan(data=str(data_folder() / DATA[name]), backbone="all-MiniLM-L6-v2")
    context = start(Given(plan.data), plan).embedded()
    data = context.data
    test = data.split.test
    return data.task, data.targets_of(test), predict_rows(context, solve_arm(context, "model"), test)


def _covers(
    task: BoundTask, targets: Targets, prediction: Prediction, size: int, draws: np.random.Generator, truth: float
) -> bool:
    rows = draws.integers(0, len(prediction), size)
    sample = {name: values[rows] for name, values in targets.items()}
    figure = figures(task.evaluation.metrics, sample, prediction.take(rows), seed=int(draws.integers(2**31)))[
        "accuracy"
    ]
    return figure.low <= truth <= figure.high
