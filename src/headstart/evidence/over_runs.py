"""The mean of a figure over runs that differ in their seed, with an interval for other seeds and other test examples.

A_i is the figure of run i. It is the mean m over seeds, plus b_i that its seed made of its model (variance B), plus
a that its test examples make of any model, plus c_i that they make of this one. The mean over k runs misses m by

    Var(mean A) = Var(a + mean c) + B / k.

Test examples are drawn anew for all runs at once, each example counting equally often in every run that has it: the
variance of the mean A in these resamples is that of a + mean c. It is as much as of one run where all models err on
the same examples of one test part, 1/k of that where test parts have no example in common, and between the two where
each seed split the data anew. The runs themselves differ by s^2, which is B plus what test examples make of one run
and not of another; this the resamples know too, w^2 = sum_i Var(A_i - mean A) / (k - 1), and B = max(s^2 - w^2, 0).
The size of a run's own interval, and how far it is to either side, is kept: its square is multiplied by
Var(mean A) / mean_i Var(A_i). To it is added t^2 B / k with Student's t of k - 1 degrees of freedom.

Where each seed splits anew, B holds what training on other parts of the same data makes of the models: m is of models
that learn from these data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from headstart.contracts.figures import Figure
from headstart.contracts.metric import Metric
from headstart.contracts.prediction import Prediction
from headstart.contracts.task import Targets
from headstart.kernel.randomness import draw_seed
from headstart.numerics.bootstrap import BLOCK, quantile, variance_of

RESAMPLES = 200
"""Resamples of the test examples of all runs at once."""

ONCE = np.cumsum(np.exp(-1.0) / np.array([math.factorial(count) for count in range(12)]))
"""Distribution function of how often an example counts: Poisson's, of mean 1."""


def joint_replicates(
    metrics: Sequence[Metric], targets: Targets, predictions: Mapping[str, Prediction], units: Sequence[str]
) -> dict[str, dict[str, np.ndarray]]:
    """Prediction -> metric -> its figure (resamples,) in resamples that are the same for all runs.

    Args:
        metrics: that are measured.
        targets: what is true.
        predictions: of the same examples.
        units: (examples,) names of what is drawn together, such as content keys: the same in every run.
    """
    names, member = np.unique(np.array(units, dtype=object).astype(str), return_inverse=True)
    figures = [(key, m.name, m.replicates(targets, one)) for key, one in predictions.items() for m in metrics]
    found: dict[str, dict[str, list[np.ndarray]]] = {key: {m.name: [] for m in metrics} for key in predictions}
    seeds = np.array([draw_seed(0, "joint resamples of " + name) for name in names.tolist()], dtype=np.uint64)
    block = max(1, BLOCK // len(units))
    with np.errstate(invalid="ignore", divide="ignore"):  # a figure may be undefined in a resample: 0 / 0
        for start in range(0, RESAMPLES, block):
            weights = poisson_weights(seeds, np.arange(start, min(start + block, RESAMPLES)))[:, member]
            for key, name, figure in figures:
                found[key][name].append(figure(weights))
    return {key: {name: np.concatenate(parts) for name, parts in one.items()} for key, one in found.items()}


def poisson_weights(seeds: np.ndarray, resamples: np.ndarray) -> np.ndarray:
    """Counts (resamples, units) of each unit, which do not depend on what others there are.

    Poisson's bootstrap (Hanley & MacGibbon 2006), with SplitMix64 (Steele, Lea & Flood 2014) of unit and resample.
    """
    step, *factors = (np.uint64(number) for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
    mixed = seeds[None] + (resamples.astype(np.uint64)[:, None] + np.uint64(1)) * step
    for shift, factor in zip((np.uint64(30), np.uint64(27)), factors):
        mixed = (mixed ^ (mixed >> shift)) * factor
    uniform = ((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53
    return np.searchsorted(ONCE, uniform, side="right").astype(np.float64)


def mean_over_runs(runs: Sequence[Figure], overlap: float = 0.0, replicates: np.ndarray | None = None) -> Figure:
    """The mean of a figure over runs that differ in their seed, with its interval.

    Without replicates, which older runs do not have, the interval is wider: s^2 / k is added to the mean v of the
    variances of the runs' own intervals, with Student's t of Satterthwaite's (1946) degrees of freedom. Where each run
    drew its own test part, s^2 holds both and counts 1/k + overlap times (Nadeau & Bengio 2003, "Inference for the
    generalization error"); v / (1 + overlap) is the least that it can be.

    Args:
        runs: their figures; one that says why it has no interval leaves none, one that does not leaves s^2 alone.
        overlap: test examples per other example, where each run drew its own test part.
        replicates: (runs, resamples) the figure in `joint_replicates` of each run.
    """
    values, count = np.array([run.value for run in runs]), len(runs)
    mean, reason = float(values.mean()), next((run.reason for run in runs if run.reason), "")
    if undefined := int(np.isnan(values).sum()):
        reason = f"undefined in {undefined} of {count} runs"
    if reason or count < 2:
        return Figure(mean, math.nan, math.nan, count, reason)
    between, examples, ends = float(values.var(ddof=1)), min(run.n for run in runs), []
    known = all(math.isfinite(run.high - run.low) for run in runs)  # else resamples would have nothing to scale
    noise = _test_noise(replicates, overlap) if known and replicates is not None else None
    for side in (-1, 1):
        steps = [side * ((run.high if side > 0 else run.low) - run.value) / quantile(run.n) for run in runs]
        within = float(np.nan_to_num(np.square(steps)).mean())
        if noise is None:
            half = _half(between, within, count, examples, overlap)
        else:
            seeds = max(between - noise.own, 0.0) / count
            half = math.hypot(quantile(count) * math.sqrt(seeds), quantile(examples) * math.sqrt(within * noise.left))
        ends.append(mean + side * half)
    return Figure(mean, ends[0], ends[1], count)


class _TestNoise(NamedTuple):
    left: float
    """Share of the variance of a run that the mean over the runs has."""
    own: float
    """Variance of the runs around their mean that their test examples make."""


def _test_noise(replicates: np.ndarray, overlap: float) -> _TestNoise:
    """As the resamples show it; where they show none, as of models that all err on the same examples."""
    known, count = replicates[:, np.isfinite(replicates).all(axis=0)], len(replicates)
    each, mean = float(np.mean([variance_of(run) for run in known])), variance_of(known.mean(axis=0))
    if each == 0.0:
        return _TestNoise((1 / count + overlap) / (1 + overlap) if overlap else 1.0, 0.0)
    return _TestNoise(mean / each, (each - mean) * count / (count - 1))


def _half(between: float, within: float, count: int, examples: int, overlap: float) -> float:
    if overlap:
        seen, least = quantile(count) * math.sqrt(between), quantile(examples) * math.sqrt(within / (1 + overlap))
        return max(seen, least) * math.sqrt(1 / count + overlap)
    both = between / count + within
    if both == 0:
        return 0.0
    freedom = both**2 / ((between / count) ** 2 / (count - 1) + within**2 / max(examples - 1, 1))
    return quantile(1 + freedom) * math.sqrt(both)
