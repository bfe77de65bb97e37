"""Figures with 95 % intervals, and comparisons that say "better" only when a paired interval excludes zero.

Both sides of a comparison are weighed by the same resamples, so that what is hard for both cancels out. See
`numerics/bootstrap.py` for the intervals; groups are resampled whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from headstart.contracts.figures import Figure
from headstart.contracts.metric import SHARE, Metric, Replicates
from headstart.contracts.prediction import Prediction
from headstart.contracts.targets import WEIGHT
from headstart.contracts.task import BoundTask, Targets
from headstart.evidence.support import FEWEST, Rest, support_of
from headstart.numerics.bootstrap import RESAMPLES, Resamples, difference_interval, interval
from headstart.numerics.paired_interval import paired_interval

UNDECIDED = "undecided"
"""Verdict on a difference that has no interval."""


class Difference(NamedTuple):
    """One prediction against another on the same examples."""

    figure: Figure
    """Signed so that more is better."""
    verdict: str
    """'better', 'worse', 'not significant', or 'undecided' where there is no interval."""


class Slice(NamedTuple):
    """The figures of the examples that share a value."""

    value: str
    n: int
    figures: Mapping[str, Figure]
    """Empty below `FEWEST` examples."""


class Slices(NamedTuple):
    """Every value of a slice column, the most frequent first."""

    slices: tuple[Slice, ...]
    worst: str | None
    """The value with the worst primary metric; None with fewer than two slices that have one."""
    note: str
    """Which values were too rare for figures; empty when none was."""


def figures(
    metrics: Sequence[Metric],
    targets: Targets,
    prediction: Prediction,
    *,
    groups: np.ndarray | None = None,
    seed: int,
    resamples: int = RESAMPLES,
    absent: bool = True,
) -> dict[str, Figure]:
    """Measure each metric on finished predictions, with intervals from the same resamples.

    Args:
        metrics: what is measured.
        targets: what is true.
        prediction: what `Evaluation.finish` returned for the same examples.
        groups: (examples,) what is resampled together; the figures' `n` counts groups then.
        seed: of the resamples.
        resamples: how many.
        absent: whether a class without an example leaves its figures without an interval; False where the examples are
            older than the class.
    """
    labelled = {metric.name: rows for metric in metrics if (rows := counted_rows(metric, targets)) is not None}
    found: dict[str, Figure] = {}
    for metric in metrics:
        if (rows := labelled.get(metric.name)) is not None:
            found |= _of_labelled(metric, rows, targets, prediction, groups, seed, resamples, absent=absent)
    whole = [metric for metric in metrics if metric.name not in labelled]
    found |= _of_all(whole, targets, prediction, groups, seed, resamples, absent=absent)
    return {metric.name: found[metric.name] for metric in metrics}


def counted_rows(metric: Metric, targets: Targets) -> np.ndarray | None:
    """Return the rows that a metric counts, where these are not all examples."""
    counted = None if metric.rows is None else metric.rows(targets)
    return None if counted is None or counted.all() else np.flatnonzero(counted)


def _of_labelled(
    metric: Metric,
    rows: np.ndarray,
    targets: Targets,
    prediction: Prediction,
    groups: np.ndarray | None,
    seed: int,
    resamples: int,
    *,
    absent: bool,
) -> dict[str, Figure]:
    """The figure of a metric on the rows that it counts."""
    if not len(rows):
        return {metric.name: Figure(math.nan, math.nan, math.nan, 0, "no example has a label")}
    known = {name: values[rows] for name, values in targets.items()}
    within = None if groups is None else np.asarray(groups)[rows]
    return _of_all([metric], known, prediction.take(rows), within, seed, resamples, absent=absent)


def _of_all(
    metrics: Sequence[Metric],
    targets: Targets,
    prediction: Prediction,
    groups: np.ndarray | None,
    seed: int,
    resamples: int,
    *,
    absent: bool,
) -> dict[str, Figure]:
    drawn = Resamples(len(prediction), groups, seed, resamples)
    found, rest = {}, Rest(len(prediction), groups)
    for metric, replicates in zip(metrics, drawn.of(*(metric.replicates(targets, prediction) for metric in metrics))):
        value, support = metric.score(targets, prediction), support_of(metric, targets, prediction)
        fewest = FEWEST if support is None else support.fewest
        if reason := metric.flaw or rest.too_few(support, fewest, absent=absent):
            found[metric.name] = Figure(value, math.nan, math.nan, rest.independent, reason)
            continue
        shares, prior = rest.shares(support), 0.0 if support is None else support.prior
        low, high = interval(replicates, value, rest.rarest(support), metric.bounds, shares, prior)
        found[metric.name] = Figure(value, low, high, rest.independent)
    return found


def compare(
    metric: Metric,
    targets: Targets,
    one: Prediction,
    other: Prediction,
    *,
    groups: np.ndarray | None = None,
    seed: int,
    resamples: int = RESAMPLES,
    other_by: tuple[Metric, Targets] | None = None,
    choosing: bool = False,
) -> Difference:
    """`one` minus `other` by a metric, signed so that more is better; arguments as for `figures`.

    Examples count by their weights where the targets have any. `other_by` are metric and targets of `other`, where its
    task knows other classes. With `choosing` the outcome only chooses between models on validation: by the bootstrap's
    quantiles, however rare a class.
    """
    rows = counted_rows(metric, targets) if other_by is None else None
    if rows is not None:
        if not len(rows):
            return judged(Figure(math.nan, math.nan, math.nan, 0, "no example has a label"))
        targets, one, other = {name: values[rows] for name, values in targets.items()}, one.take(rows), other.take(rows)
        groups = None if groups is None else np.asarray(groups)[rows]
    sign, drawn = 1.0 if metric.greater_is_better else -1.0, Resamples(len(one), groups, seed, resamples)
    others, seen = other_by or (metric, targets)
    first = _by_weight(metric.replicates(targets, one), targets)
    second = _by_weight(others.replicates(seen, other), seen)
    (replicates,) = drawn.of(lambda weights: sign * (first(weights) - second(weights)))
    value = sign * (metric.score(targets, one) - others.score(seen, other))
    if WEIGHT in targets:
        value = sign * float((first(np.ones((1, len(one)))) - second(np.ones((1, len(one)))))[0])
    rest, supports = Rest(len(one), groups), (support_of(metric, targets, one), support_of(others, seen, other))
    reasons = (rest.too_few(support, absent=other_by is None) for support in supports)
    reason = "" if choosing else next(filter(None, reasons), "")
    if reason:
        return judged(Figure(value, math.nan, math.nan, rest.independent, reason))
    span = metric.bounds[1] - metric.bounds[0]
    if choosing or math.isinf(span) or WEIGHT in targets:
        rarest = rest.independent if choosing else min(map(rest.rarest, supports))
        low, high = difference_interval(replicates, value, rarest, span)
    else:
        shares = [rest.shares(support) for support in supports]
        low, high = paired_interval(replicates, value, rest.independent, span, shares, counted=metric.unit == SHARE)
    return judged(Figure(value, low, high, rest.independent))


def _by_weight(replicates: Replicates, targets: Targets) -> Replicates:
    """The metric whose examples have the weights in the targets, beside those of a resample."""
    counted = targets.get(WEIGHT)
    return replicates if counted is None else lambda drawn: replicates(drawn * counted)


def slice_figures(
    task: BoundTask,
    targets: Targets,
    prediction: Prediction,
    values: Sequence[object],
    *,
    groups: np.ndarray | None = None,
    seed: int,
) -> Slices:
    """Figures for each value of a slice column (examples,); an empty value is '(empty)'.

    Intervals are over groups; of a value that is a single group over its examples.
    """
    names = np.array(["(empty)" if value is None or value == "" else str(value) for value in values], dtype=object)
    found, counts = np.unique(names, return_counts=True)
    slices = []
    for name, count in sorted(zip(found.tolist(), counts.tolist()), key=lambda item: (-item[1], item[0])):
        rows = np.flatnonzero(names == name)
        measured = {}
        if count >= FEWEST:
            part = {key: column[rows] for key, column in targets.items()}
            inside = None if groups is None else np.asarray(groups)[rows]
            inside = None if inside is not None and (inside == inside[0]).all() else inside  # one speaker's examples
            measured = figures(task.evaluation.metrics, part, prediction.take(rows), groups=inside, seed=seed)
        slices.append(Slice(name, count, measured))
    rare = [piece for piece in slices if not piece.figures]
    some = "1 value has" if len(rare) == 1 else f"{len(rare)} values have"
    note = f"{some} fewer than {FEWEST} examples and no figures" if rare else ""
    return Slices(tuple(slices), _worst(task.evaluation.primary, slices), note)


def judged(figure: Figure) -> Difference:
    """A difference as its interval judges it."""
    if figure.reason:
        return Difference(figure, UNDECIDED)
    if figure.low > 0:
        return Difference(figure, "better")
    if figure.high < 0:
        return Difference(figure, "worse")
    return Difference(figure, "not significant")


def _worst(metric: Metric, slices: Sequence[Slice]) -> str | None:
    sign = 1.0 if metric.greater_is_better else -1.0
    ranked = [
        (sign * piece.figures[metric.name].value, piece.value)
        for piece in slices
        if piece.figures and not math.isnan(piece.figures[metric.name].value)
    ]
    return min(ranked)[1] if len(ranked) > 1 else None
