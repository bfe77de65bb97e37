"""The accuracy of a model on a target without labels, with a 90 % interval.

How it is made depends on what the diagnosis finds:

- The domains overlap. Difference of confidences (Guillory et al. 2021, "Predicting with confidence on unseen
  distributions"): accuracy on held-out source examples, plus by how much the mean confidence differs on the target.
  Where the mix of classes differs, the confidence is that of the source model after correction for the estimated mix
  (Saerens et al. 2002), in whatever class the model predicts.
- Even inputs of one class can be told apart nearly always. Confidence says nothing then: it may be higher than in the
  source where all is wrong. Agreement does (Baek et al. 2022, "Agreement-on-the-line"; Jiang et al. 2022, "Assessing
  generalization of SGD via disagreement"), with c = 1 / classes, a the accuracy on held-out source examples and a
  trust t in [0, 1]: the kappa of the model with its judges (`agreement`), times the largest of an adapted model, which
  stands for how right the judges are, times the target's spread along the source's classes (`class_spread`) as a share
  of what a target that is surely related has at least:

      c + (a - c) t

The interval has the sampling error of both sets and is wider

- where domains overlap, by shares of what the shift takes from the accuracy and of the proxy A-distance;
- where the mix differs, also by what the estimate would change at the ends of the mix's intervals next to the source;
- where domains are apart, by a share of 2 (a - c) sqrt(t (1 - t)), most where it is neither clear that all is as in
  the source nor that nothing is, and by `UNKNOWN`.

These shares were set on shifts of data sets apart from those that the benchmark `safety` reports.
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

BY_DISTANCE, BY_LOSS, BY_TRUST, UNKNOWN = 0.02, 0.25, 0.3, 0.05
"""Half width for a proxy A-distance of 1, for each point that the shift costs, and, where domains are apart, by trust
and in any case."""

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


def least(source: Outcome, mix: Mix | None) -> Mix | None:
    """Return the mix in which each class's share is as close to the source's as its interval allows."""
    if mix is None:
        return None
    found = np.clip(shares_of(source.labels, len(mix.shares)), mix.low, mix.high)
    return mix._replace(shares=found / found.sum())


def shares_of(labels: np.ndarray, classes: int) -> np.ndarray:
    """Share of each class (classes,) among labels, half an example more of each so that none is 0."""
    counts = np.bincount(labels, minlength=classes) + 0.5
    return np.asarray(counts / counts.sum())


def estimated_accuracy(outcome: Outcome, diagnosis: Diagnosis, source: Outcome, trust: float) -> tuple[Figure, str]:
    """Return the estimate with its 90 % interval, and a sentence that says how it is made.

    Args:
        outcome: of the model. source: of the source model.
        diagnosis: of the shift.
        trust: in the model where the domains are apart, in [0, 1].
    """
    known, unknown = len(outcome.labels), len(outcome.target)
    if not known or not unknown:
        return Figure(math.nan, math.nan, math.nan, unknown, "no held-out source examples"), "it is not estimated"
    situation, classes = reading(diagnosis).situation, outcome.target.shape[1]
    accuracy = outcome.accuracy
    if situation == "apart":
        chance = min(1 / classes, accuracy)
        value = chance + (accuracy - chance) * trust
        extra = UNKNOWN + BY_TRUST * 2 * (accuracy - chance) * math.sqrt(trust * (1 - trust))
        how = "its agreement with models adapted in other ways"
    elif situation == "mix":
        accuracy = source.accuracy
        rows = np.arange(unknown), outcome.target.argmax(axis=1)
        sure = [float(corrected(source, mix)[rows].mean()) for mix in (diagnosis.mix, least(source, diagnosis.mix))]
        value, extra = accuracy + sure[0] - float(source.source.max(axis=1).mean()), abs(sure[0] - sure[1])
        how = "how sure the source model is of its predictions at the estimated mix of classes"
    else:
        value = accuracy + float(outcome.target.max(axis=1).mean() - outcome.source.max(axis=1).mean())
        how, extra = "how much less sure it is of the target", 0.0
    value = min(max(value, 0.0), 1.0)
    if situation != "apart":
        extra += BY_LOSS * abs(accuracy - value) + BY_DISTANCE * diagnosis.inputs.distance
    half = math.hypot(QUANTILE * _error(accuracy, known), QUANTILE * _error(value, unknown), extra)
    figure = Figure(value, max(value - half, 0.0), min(value + half, 1.0), unknown)
    return figure, f"estimated from the accuracy on held-out source examples and {how}"


def _error(share: float, count: int) -> float:
    """Standard error of a share, with two examples more of each kind as in Agresti & Coull (1998)."""
    smooth = (share * count + 2) / (count + 4)
    return math.sqrt(smooth * (1 - smooth) / count)
