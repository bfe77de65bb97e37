"""The label curve of a fit: what its probe can be expected to reach with more labels, from the features it has kept.

Probes on growing subsets of the training and validation part predict the rest of it; the test part is not looked at.
Where that would take long, fewer examples are predicted and the largest subsets left out, by a rule that no clock takes
part in. A head that cannot be solved for is trained by steps on three subsets and predicts a quarter of the examples:
that takes about as long as the probe, and is left out under a budget.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from headstart.contracts.figures import info_of
from headstart.contracts.prediction import Prediction
from headstart.contracts.task_capabilities import ClosedForm, CountsLabels
from headstart.evidence.folds import folds
from headstart.evidence.held_out_probe import probe_learner
from headstart.evidence.label_curve import FEWEST_SIZES, LabelCurve
from headstart.evidence.subset_probes import DRAWS, Subsets, halves, measured, nested_subsets
from headstart.kernel.errors import DataError
from headstart.pipeline.context import FitContext
from headstart.pipeline.deep.held_out_heads import held_out_by_steps
from headstart.pipeline.numbers import figure_text, seconds_text, value_text
from headstart.pipeline.prepare import Prepared
from headstart.pipeline.record import CurvePoint, FigureRow, LabelCurveRow

FOLDS = 4

PREDICTED = 1500
"""Examples that are predicted at least, where there are so many; folds beyond are left out."""

BY_STEPS = 12
"""Examples in the smallest subset where a head is trained by steps."""

FEWEST, FEWEST_EACH = 20, 4
"""Examples in the smallest subset: at all, and for each class."""

MULTIPLES = (1, 2, 4)
"""Of the labels that there are, for which a forecast is made."""

SECONDS, SHARE = 10.0, 0.1
"""Time that a label curve may take, about, on one core, and its share of a budget."""

EACH, OPERATION = 0.08, 0.28e-6
"""Seconds to solve for a head, and for each of examples x min(examples, width) x outputs, on one core."""


def label_curve(context: FitContext) -> tuple[LabelCurveRow, LabelCurve | None]:
    """Return the label curve of the probe as it is recorded, or why there is none, and the curve itself."""
    labelled, task = np.union1d(context.data.split.train, context.data.split.val), context.data.task
    row = LabelCurveRow(metric=task.evaluation.primary.name, labelled=len(labelled))
    try:
        if isinstance(task, CountsLabels):
            counts = task.label_counts(context.data.targets_of(labelled))
            row = row.model_copy(update={"labelled": int(counts.sum()), "unit": task.label_unit})
            curve = _curve_by_steps(context, labelled, counts)
        else:
            curve = _curve(context, labelled)
    except DataError as error:
        return row.model_copy(update={"reason": str(error)}), None
    sizes, values = curve.measured.sizes.tolist(), curve.measured.values.tolist()
    labels = sorted({*sizes, *(row.labelled * multiple for multiple in MULTIPLES)})
    expected = tuple(CurvePoint(**curve.forecast(number)._asdict()) for number in labels)
    found = {"measured": dict(zip(sizes, values)), "expected": expected}
    return row.model_copy(update={**found, "sentence": _sentence(context.data, row, expected)}), curve


def _curve(context: FitContext, labelled: np.ndarray) -> LabelCurve:
    """Return the curve of the probe. Raises DataError where there is none."""
    data, seed = context.data, context.plan.seed
    if data.task.needs.features != "pooled" or not isinstance(data.task, ClosedForm):
        raise DataError("a label curve is for tasks with a label for each example, and heads that can be solved for")
    units, features = data.kept_together(labelled), context.features.pooled(labelled)
    outputs = sum(one.numel() for one in data.task.linear().head(context.backbone).parameters()) / features.shape[1]
    allowed = context.budget.seconds
    limit = SECONDS if allowed is None else min(SECONDS, SHARE * allowed)

    def seconds(examples: int) -> float:
        return EACH + OPERATION * examples * min(examples, features.shape[1]) * outputs

    subsets = subsets_of(data.strata[labelled], units, seconds, limit, seed)
    targets, rows = data.targets_of(labelled), subsets.rows
    predictions = subsets.predictions(probe_learner(data.task, features, targets, units, seed))
    asked, groups = {name: values[rows] for name, values in targets.items()}, None if units is None else units[rows]
    return LabelCurve(measured(data.task.evaluation.primary, asked, subsets.sizes, predictions, groups, seed))


def _curve_by_steps(context: FitContext, labelled: np.ndarray, counts: np.ndarray) -> LabelCurve:
    """Return the curve of a head that is trained by steps, over labels of which examples have `counts` (labelled,).

    Raises DataError where there is none.
    """
    data, seed = context.data, context.plan.seed
    if context.budget.seconds is not None:
        raise DataError("it takes about as long as the probe, and there is a budget")
    if context.windows is not None or context.features.spec.keep != "state":
        raise DataError("no features are kept that heads could be trained on")
    units, strata = data.kept_together(labelled), data.strata[labelled]
    needed = math.ceil(BY_STEPS * 2 ** (FEWEST_SIZES - 1) * FOLDS / (FOLDS - 1)) + FOLDS
    if len(labelled) < needed or (units is not None and len(np.unique(units)) < FOLDS):
        raise DataError(f"{len(labelled)} labelled examples are too few for a label curve, which needs about {needed}")
    cut = folds(np.arange(len(labelled)), strata, units, FOLDS, seed)[:1]
    sizes = halves(len(cut[0].rest), BY_STEPS)[-FEWEST_SIZES:]
    subsets = nested_subsets(cut, strata, units, sizes, seed)

    def learn(rest: np.ndarray, held: np.ndarray) -> Prediction:
        return held_out_by_steps(context, f"label curve {len(rest)}", labelled[rest], labelled[held])

    predictions, rows = subsets.predictions(learn, draws=1), subsets.rows
    seen = [int(counts[subsets.orders[0][0][:size]].sum()) for size in sizes]
    asked, groups = data.targets_of(labelled[rows]), None if units is None else units[rows]
    return LabelCurve(measured(data.task.evaluation.primary, asked, seen, predictions, groups, seed))


def subsets_of(
    strata: np.ndarray, units: np.ndarray | None, seconds: Callable[[int], float], limit: float, seed: int
) -> Subsets:
    """Draw the subsets of labelled examples.

    Args:
        strata: (examples,) int: what is kept in proportion.
        units: (examples,) int: what is held out together; None for single examples.
        seconds: to learn from so many.
        limit: the seconds that all may take.
        seed: of folds and draws.

    Raises:
        DataError: there are too few, or it would take too long.
    """
    count, independent = len(strata), len(strata) if units is None else len(np.unique(units))
    fewest = _fewest(strata)
    needed = math.ceil(fewest * 2 ** (FEWEST_SIZES - 1) * FOLDS / (FOLDS - 1)) + FOLDS
    if count < needed or independent < FOLDS:
        raise DataError(f"{count} labelled examples are too few for a label curve, which needs about {needed}")
    cut = folds(np.arange(count), strata, units, FOLDS, seed)
    cut = cut[: max(1, math.ceil(FOLDS * PREDICTED / count))]
    largest = min(len(fold.rest) for fold in cut)
    if len(halves(largest, fewest)) < FEWEST_SIZES:
        raise DataError(f"{count} labelled examples are too few for a label curve, as large groups stay together")
    while len(sizes := halves(largest, fewest)) >= FEWEST_SIZES and _cost(sizes, len(cut), seconds) > limit:
        largest = int(largest / math.sqrt(2))
    if len(sizes) < FEWEST_SIZES:
        raise DataError(f"a label curve of {count} labelled examples would take more than {seconds_text(limit)}")
    return nested_subsets(cut, strata, units, sizes, seed)


def _fewest(strata: np.ndarray) -> int:
    """Return the size of the smallest subset: it holds two of the second most frequent class."""
    counts = np.sort(np.unique(strata, return_counts=True)[1])
    second = counts[-2] if len(counts) > 1 else counts[-1]
    return max(FEWEST, FEWEST_EACH * len(counts), math.ceil(2 * len(strata) / second))


def _cost(sizes: list[int], cut: int, seconds: Callable[[int], float]) -> float:
    """Return the seconds of probes on these sizes; the largest is drawn once."""
    return cut * (seconds(sizes[-1]) + DRAWS * sum(map(seconds, sizes[:-1])))


def _sentence(data: Prepared, row: LabelCurveRow, expected: tuple[CurvePoint, ...]) -> str:
    """Return "With twice the labels (2,000), expect 93.1 % (91.8-94.2) ..."."""
    by_labels, metric = {point.labels: point for point in expected}, info_of(data.task.evaluation.primary)
    labelled, unit = row.labelled, f" {row.unit}" * bool(row.unit)
    now, twice = by_labels[labelled], by_labels[2 * labelled]
    then = figure_text(metric.unit, FigureRow(**twice.model_dump(exclude={"labels"}), n=twice.labels))
    return (
        f"With twice the labels ({2 * labelled:,}{unit}), expect {metric.title} {then} of the probe, against "
        f"{value_text(metric.unit, now.value)} with the {labelled:,}{unit} at hand (90 % interval)."
    )
