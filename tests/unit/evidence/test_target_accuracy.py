"""Estimated accuracy on a target without labels, against the formulas written out, and what it rests on."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from headstart.contracts.validator import Outcome
from headstart.evidence.agreement import Candidate, agreements, kappa
from headstart.evidence.class_spread import class_spread
from headstart.evidence.label_shift import Mix
from headstart.evidence.shift import Shift
from headstart.evidence.shift_kind import OF_A_CLASS, Diagnosis, Question
from headstart.evidence.target_accuracy import estimated_accuracy, reading

N, CLASSES = 50, 3
DRAWS = np.random.default_rng(1)
LABELS = DRAWS.integers(CLASSES, size=N)
SHARES = np.array([0.7, 0.2, 0.1])


def _outcome(seed: int) -> Outcome:
    draws = np.random.default_rng(seed)
    source, target = draws.dirichlet(np.full(CLASSES, 0.5), size=(2, N))
    source = (2 * source + np.eye(CLASSES)[LABELS]) / 3
    features = draws.normal(size=(N, 2)).astype(np.float32)
    return Outcome(source, LABELS, target, features, features, np.ones(N), lambda x: x)


MODEL, SOURCE = _outcome(2), _outcome(3)


def _diagnosis(within: float, distance: float = 0.0) -> Diagnosis:
    asked = [Question(name, "", within, 0.002, 0.01, "") for name in ("inputs", "labels", OF_A_CLASS)]
    mix = Mix(SHARES, SHARES - 0.05, SHARES + 0.05)
    return Diagnosis("covariate", "", tuple(asked), Shift(within, 0.002, distance, N), mix, None, (), ())  # type: ignore[arg-type]


def _right(outcome: Outcome) -> float:
    return sum(p.argmax() == y for p, y in zip(outcome.source, LABELS)) / N


def _sure(probabilities: np.ndarray) -> float:
    return sum(max(p) for p in probabilities) / len(probabilities)


def _at_the_mix() -> float:
    """Mean corrected probability of the source model in the classes that the model predicts."""
    prior = [(sum(k == LABELS) + 0.5) / (N + 1.5) for k in range(CLASSES)]
    total = 0.0
    for mine, theirs in zip(MODEL.target, SOURCE.target):
        odds = [theirs[k] * SHARES[k] / prior[k] for k in range(CLASSES)]
        total += odds[mine.argmax()] / sum(odds)
    return total / N


@pytest.mark.parametrize(
    ("within", "value"),
    [
        (0.8, _right(MODEL) + _sure(MODEL.target) - _sure(MODEL.source)),
        (0.5, _right(SOURCE) + _at_the_mix() - _sure(SOURCE.source)),
        (1.0, 1 / 3 + (_right(MODEL) - 1 / 3) * 0.72),
    ],
)
def test_the_estimate_equals_its_formula_and_lies_in_its_interval(within: float, value: float) -> None:
    figure, how = estimated_accuracy(MODEL, _diagnosis(within), SOURCE, 0.72)
    assert figure.value == pytest.approx(value, abs=1e-6)
    assert 0 <= figure.low < figure.value < figure.high <= 1 and figure.n == N
    assert how.startswith("estimated from")


def test_the_interval_is_wider_for_a_larger_distance_and_fewer_examples() -> None:
    few = MODEL._replace(source=MODEL.source[:10], labels=LABELS[:10])
    near, far, small = (
        estimated_accuracy(model, _diagnosis(0.8, distance), SOURCE, 0.5)[0]
        for model, distance in ((MODEL, 0.0), (MODEL, 2.0), (few, 0.0))
    )
    assert far.high - far.low > near.high - near.low < small.high - small.low


def test_without_held_out_examples_nothing_is_estimated() -> None:
    none = MODEL._replace(source=MODEL.source[:0], labels=LABELS[:0])
    figure, _ = estimated_accuracy(none, _diagnosis(1.0), none, 0.8)
    assert math.isnan(figure.value) and figure.reason


def test_the_reading_needs_a_difference_of_the_mix() -> None:
    told = _diagnosis(0.5)
    assert [reading(_diagnosis(within)).situation for within in (1.0, 0.8, 0.5)] == ["apart", "overlap", "mix"]
    alike = tuple(one._replace(corrected=1.0) if one.name == "labels" else one for one in told.questions)
    assert reading(told._replace(questions=alike)).situation == "overlap"


def test_kappa_is_that_of_scikit_learn() -> None:
    one, other = DRAWS.integers(CLASSES, size=(2, 200))
    other = np.where(DRAWS.random(200) < 0.6, one, other)
    assert kappa(one, other, CLASSES) == pytest.approx(cohen_kappa_score(one, other), abs=1e-9)
    assert kappa(one * 0, one * 0, CLASSES) == 0


def test_weighted_heads_are_judged_and_do_not_judge() -> None:
    names = ("source", "alignment", "weighting", "objectives")
    everyone = [Candidate(name, name, _outcome(seed)) for seed, name in enumerate(names)]
    found = agreements(everyone)
    told = [one.outcome.target for one in everyone]
    for place, judges in enumerate(((1, 3), (0, 3), (0, 1, 3), (0, 1))):
        mean = sum(told[judge] for judge in judges) / len(judges)
        wanted = cohen_kappa_score(told[place].argmax(axis=1), mean.argmax(axis=1))
        assert found[place] == pytest.approx(wanted, abs=1e-9)
    assert math.isnan(agreements(everyone[:1])[0])


def test_the_spread_along_the_classes_is_that_of_the_two_dimensions_that_their_means_span() -> None:
    labels, width = np.arange(300) % 3, 6
    means = np.zeros((3, width))
    means[1, 0], means[2, 1] = 4, 4
    source = means[labels] + DRAWS.normal(size=(300, width))
    target = np.concatenate([source[:, :2] @ [[0.0, 1], [1, 0]], source[:, 2:]], axis=1)
    assert class_spread(source, labels, target) == pytest.approx(1, abs=0.05)
    scaled = (source - source.mean(axis=0)) / source.std(axis=0)
    one, other = (scaled[labels == k].mean(axis=0) - scaled[labels == 0].mean(axis=0) for k in (1, 2))
    basis = np.linalg.qr(np.stack([one, other], axis=1))[0]
    target = DRAWS.normal(size=(200, width))
    theirs = (target - target.mean(axis=0)) / target.std(axis=0)
    wanted = sum((theirs @ basis[:, k]).var() for k in range(2)) / sum((scaled @ basis[:, k]).var() for k in range(2))
    assert class_spread(source, labels, target) == pytest.approx(wanted, abs=1e-6)
    assert math.isnan(class_spread(source, labels * 0, target))
