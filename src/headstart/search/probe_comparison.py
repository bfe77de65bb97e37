"""Choice between fine-tuning and probe: a fine-tuning replaces it only where it beats it on validation beyond noise.

Both predict the validation part, each calibrated on it, and the paired 95 % interval of the difference decides: that of
the primary metric, or, where the primary metric is higher but its few examples cannot show it, that of the loss of the
predicted probabilities, which sees by how much each example is right or wrong. By cross-fitting, where one standard
error is enough, the loss is asked where the primary metric is not lower. Otherwise the interval is that of the test
part, which covers with few examples too: by the bootstrap's quantiles 4 examples won of 40, and none lost, would do,
of which a sign test says p = 0.125. Where a class is too rare for that interval, the quantiles have to do.

That is a bar and no proof. The same examples have chosen the fine-tuning's epoch, rate, soup and temperature, and the
candidate itself among up to a dozen, and they are looked at twice: of fine-tunings that are no better, more pass than
the 2.5 % for which such an interval stands (Cawley & Talbot 2010, "On over-fitting in model selection and subsequent
selection bias in performance evaluation"). The proof is the test part, where nothing was chosen: there the model is
held against the probe once more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from headstart.contracts.figures import Figure
from headstart.contracts.metric import Metric
from headstart.contracts.prediction import Prediction
from headstart.evidence.comparison import UNDECIDED, Difference, compare, figures
from headstart.kernel.errors import DataError
from headstart.pipeline.context import FitContext
from headstart.pipeline.judge import figure_row
from headstart.pipeline.numbers import difference_text
from headstart.pipeline.trained import Trained

FEWEST = 30
"""Validation examples, or groups of them, below which the loss is not asked: the candidate was chosen by it, and of so
few its interval is too narrow."""

ERRORS = 1.96
"""Standard errors from a figure to the ends of its 95 % interval."""


class Where(NamedTuple):
    """On what two models are compared."""

    short: str
    """For the verdict."""
    long: str
    """With what must be known of it."""
    rows: np.ndarray
    one_error: bool = False
    """Whether a gain of more than one standard error is enough: where the rows have chosen nothing."""


@dataclass(frozen=True)
class Answer:
    """Outcome of the comparison."""

    better: bool
    tuned: Figure
    """The primary metric of the fine-tuned model on validation."""
    probe: Figure
    """That of the probe."""
    reason: str
    sentence: str
    """For the verdict."""


def against_probe(context: FitContext, tuned: Trained, probe: Trained) -> Answer:
    """Compare on the validation part."""
    one, other = tuned.validation, probe.validation
    if one is None or other is None:
        raise DataError("there is no validation part to compare on")
    where = Where("on validation", "on validation, which also chose it", context.data.split.val)
    return compared(context, where, one, other, f"the best fine-tuning ({tuned.title})")


def compared(context: FitContext, where: Where, one: Prediction, other: Prediction, title: str) -> Answer:
    """The fine-tuned model's calibrated prediction `one` against the probe's, both for the rows `where`."""
    data, primary = context.data, context.data.task.evaluation.primary
    targets, groups = data.targets_of(where.rows), data.groups_of(where.rows)
    better, reason = decided(context, where, one, other)
    both = [
        figures(data.task.evaluation.metrics, targets, given, groups=groups, seed=context.plan.seed)[primary.name]
        for given in (one, other)
    ]
    return Answer(better, both[0], both[1], reason, in_words(where, title, better=better))


def in_words(where: Where, title: str, *, better: bool) -> str:
    """The decision in a sentence, for the verdict."""
    by = " by more than a standard error" if where.one_error else ""
    beaten = "beats" if better else "did not beat" if where.one_error else "did not significantly beat"
    kept = "" if better else ", so the probe is the model"
    return f"{where.short.capitalize()} {title} {beaten} the frozen probe{by}{kept}."


def decided(context: FitContext, where: Where, one: Prediction, other: Prediction) -> tuple[bool, str]:
    """Return True where `one` is better than the probe's prediction `other`, and why."""
    data, seed = context.data, context.plan.seed
    targets, groups = data.targets_of(where.rows), data.groups_of(where.rows)
    metrics = data.task.evaluation.metrics
    primary = data.task.evaluation.primary

    def by(metric: Metric) -> Difference:
        found = compare(metric, targets, one, other, groups=groups, seed=seed, choosing=where.one_error)
        if found.verdict != UNDECIDED:
            return found
        return compare(metric, targets, one, other, groups=groups, seed=seed, choosing=True)

    found = by(primary)
    reason = _told(primary, found)
    better = _is_better(found, where)
    finer = next((metric for metric in metrics if metric.breaks_ties), None)
    if not better and finer is not None and _may_ask_loss(found.figure, where):
        loss = by(finer)
        better = _is_better(loss, where)
        reason += f"; {_told(finer, loss)}"
    return better, f"{where.long}, against the probe: {reason}"


def _may_ask_loss(found: Figure, where: Where) -> bool:
    return found.value >= 0 if where.one_error else found.value > 0 and found.n >= FEWEST


def _is_better(found: Difference, where: Where) -> bool:
    """Return whether the gain is beyond noise."""
    value, low = found.figure.value, found.figure.low
    return value > (value - low) / ERRORS if where.one_error else found.verdict == "better"


def _told(metric: Metric, found: Difference) -> str:
    return f"{metric.title} {difference_text(metric.unit, figure_row(found.figure))}, {found.verdict}"
