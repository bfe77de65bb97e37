"""The accuracy of a model on a target without labels, with a 90 % interval.

How it is made depends on what the diagnosis finds:

- The domains overlap. Difference of confidences (Guillory et al. 2021, "Predicting with confidence on unseen
  distributions"): accuracy on held-out source examples, plus by how much the mean confidence differs on the target.
  Where the mix of classes differs, the confidence is that of the source model after correction for the estimated mix
  (Saerens et al. 2002), in whatever class the model predicts.
- Even inputs of one class can be told apart nearly always. Confidence says nothing then: it may be higher than in the
  source where all is wrong. Agreement does (Baek et al. 2022, "Agreement-on-the-line"; Jiang et al. 2022, "Assessing
  generalization of SGD via disagreement"), with c = 1 / classes, a the accuracy on held-out source examples, k the
  kappa of the model with its judges and k* the largest of an adapted model (`agreement`), which stands for how right
  the judges are:

      c + (a - c) k k*

The interval has the sampling error of both sets, and is wider by a share of what the shift takes from the accuracy and
by a share of the proxy A-distance. These shares were set on shifts of data sets apart from those that the benchmark
`safety` reports.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np

from headstart.contracts.figures import Figure
from headstart.contracts.validator import Outcome
from headstart.evidence.label_shift import Mix
from headstart.evidence.shift_kind import APART, OF_A_CLASS, Diagnosis

QUANTILE = 1.645
"""Of an interval of 90 %."""

ALIKE = 0.65
"""ROC AUC between inputs of a class up to which the mix of classes is taken for all that differs."""

BY_DISTANCE, BY_LOSS, BY_AGREEMENT = 0.02, 0.25, 0.1
"""Half width for a proxy A-distance of 1, for each point that the shift is found to cost, and where domains are
apart."""

Situation = Literal["overlap", "mix", "apart"]


class Reading(NamedTuple):
    """The diagnosis as far as candidates are chosen by it."""

    situation: Situation
    within: float
    """ROC AUC between inputs of a class; of all inputs where classes have none."""


def reading(diagnosis: Diagnosis) -> Reading:
    """Tell whether domains hardly overlap ('apart'), differ in the mix of classes alone ('mix'), or neither."""
    asked = {one.name: one for one in diagnosis.questions}
    within = asked.get(OF_A_CLASS)
    area = diagnosis.inputs.auc if within is None else within.value
    if area >= APART:
        return Reading("apart", area)
    mixed = within is not None and "labels" in asked and asked["labels"].found
    return Reading("mix" if mixed and area <= ALIKE else "overlap", area)


def corrected(outcome: Outcome, mix: Mix | None) -> np.ndarray:
    """Probabilities (target examples, classes) of the source model, corrected for an estimated mix of classes."""
    if mix is None:
        return outcome.target
    odds = outcome.target * mix.shares / shares_of(outcome.labels, len(mix.shares))
    return np.asarray(odds / np.maximum(odds.sum(axis=1, keepdims=True), 1e-300))


def shares_of(labels: np.ndarray, classes: int) -> np.ndarray:
    """Share of each class (classes,) among labels, half an example more of each so that none is 0."""
    counts = np.bincount(labels, minlength=classes) + 0.5
    return np.asarray(counts / counts.sum())


def estimated_accuracy(
    outcome: Outcome, diagnosis: Diagnosis, source: Outcome, agreement: float, best: float
) -> tuple[Figure, str]:
    """Return the estimate with its 90 % interval, and a sentence that says how it is made.

    Args:
        outcome: of the model. source: of the source model.
        diagnosis: of the shift.
        agreement: kappa of the model with its judges; NaN without any. best: the largest of an adapted model.
    """
    known, unknown = len(outcome.labels), len(outcome.target)
    if not known or not unknown:
        return Figure(math.nan, math.nan, math.nan, unknown, "no held-out source examples"), "it is not estimated"
    situation, classes = reading(diagnosis).situation, outcome.target.shape[1]
    accuracy = float((outcome.source.argmax(axis=1) == outcome.labels).mean())
    if situation == "apart":
        chance = min(1 / classes, accuracy)
        trust = agreement * best if math.isfinite(agreement * best) else 0.5
        value, extra = chance + (accuracy - chance) * min(max(trust, 0.0), 1.0), BY_AGREEMENT
        how = "from its accuracy on held-out source examples and its agreement with models adapted in other ways"
    else:
        before, sure = outcome, outcome.target.max(axis=1)
        if situation == "mix":
            before = source
            sure = corrected(source, diagnosis.mix)[np.arange(unknown), outcome.target.argmax(axis=1)]
        level = float((before.source.argmax(axis=1) == before.labels).mean())
        value, extra = level + float(sure.mean() - before.source.max(axis=1).mean()), 0.0
        how = "from its accuracy on held-out source examples and how much less sure it is of the target"
        if situation == "mix":
            how += ", at the estimated mix of classes"
    value = min(max(value, 0.0), 1.0)
    half = QUANTILE * math.hypot(_error(accuracy, known), _error(value, unknown))
    half = math.hypot(half, extra + BY_LOSS * abs(accuracy - value) + BY_DISTANCE * diagnosis.inputs.distance)
    return Figure(value, max(value - half, 0.0), min(value + half, 1.0), unknown), f"estimated {how}"


def _error(share: float, count: int) -> float:
    """Standard error of a share, with two examples more of each kind as in Agresti & Coull (1998)."""
    smooth = (share * count + 2) / (count + 4)
    return math.sqrt(smooth * (1 - smooth) / count)
