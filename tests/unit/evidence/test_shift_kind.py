"""The kind of a shift: each planted one is diagnosed, and two random halves are rarely said to differ."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from headstart.evidence.held_out_classes import held_out_classes
from headstart.evidence.shift_kind import LEVEL, Diagnosis, diagnose

NAMES = ("cat", "dog", "fox")
CENTRES = np.array([[2.0, 0, 0, 0, 0, 0], [0, 2, 0, 0, 0, 0], [0, 0, 2, 0, 0, 0]])


def world(kind: str, seed: int = 0, count: int = 240) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Features of both sets, and their labels."""
    draws = np.random.default_rng(seed)
    shares = [0.1, 0.2, 0.7] if kind == "label" else [1 / 3] * 3
    labels = [draws.choice(3, count), draws.choice(3, count, p=shares)]
    one, other = (CENTRES[of] + draws.normal(size=(count, 6)) for of in labels)
    if kind == "covariate":
        other[:, 5] += 1.0
    if kind == "concept":
        turned = other[:, 4] > 0
        labels[1][turned] = (labels[1][turned] + 1) % 3
    if kind == "support":
        kept = labels[1] != 1
        other, labels[1] = other[kept], labels[1][kept]
    if kind == "region":
        apart = np.arange(count) % 4 == 0
        other[apart, 5] += 8
    return one, other, labels[0], labels[1]


@cache
def told(kind: str, known: str = "all", seed: int = 0) -> Diagnosis:
    one, other, mine, theirs = world(kind, seed, 500 if kind == "region" else 240)
    some = {"all": theirs, "none": None, "few": np.where(np.arange(len(theirs)) < 80, theirs, -1)}[known]
    return diagnose(one, other, mine, some, NAMES, seed)


@pytest.mark.slow
@pytest.mark.parametrize("known", ["all", "few"])
@pytest.mark.parametrize("kind", ["none", "label", "covariate", "concept", "support"])
def test_planted_shifts_are_diagnosed_with_labels(kind: str, known: str) -> None:
    found = told(kind, known)
    assert found.kind == kind, (found.reason, found.questions)
    if kind == "support":
        assert found.missing_classes == (("dog", "other"),) and "the other set has no 'dog'" in found.reason


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "expected"), [("label", "label"), ("covariate", "covariate"), ("region", "support"), ("concept", "none")]
)
def test_without_labels_of_the_other_set_concept_shift_stays_unseen_and_is_said_to(kind: str, expected: str) -> None:
    found = told(kind, "none")
    assert found.kind == expected
    assert expected == "support" or "concept shift cannot be seen" in found.reason


def test_the_mix_is_estimated_from_inputs_alone() -> None:
    found = told("label", "none")
    assert found.mix is not None and found.black_box is not None
    assert found.mix.shares == pytest.approx([0.1, 0.2, 0.7], abs=0.1)
    assert found.black_box == pytest.approx([0.1, 0.2, 0.7], abs=0.1)
    assert (found.mix.low <= found.mix.shares).all() and (found.mix.shares <= found.mix.high).all()


def test_without_labels_of_the_data_a_difference_is_of_no_kind_that_could_be_told() -> None:
    one, other, *_ = world("covariate")
    for labels in (None, np.zeros(len(one), np.int64), np.full(len(one), -1), np.arange(len(one))):
        found = diagnose(one, other, labels, None, tuple(map(str, range(len(one)))))
        assert found.kind == "cannot tell" and found.mix is None and "no labels of two classes" in found.reason
    assert diagnose(*world("none")[:2]).kind == "none"


@pytest.mark.slow
def test_random_halves_are_rarely_said_to_differ() -> None:
    found = [diagnose(*world("none", seed, 60), NAMES, seed).kind for seed in range(12)]
    assert sum(kind != "none" for kind in found) <= 3  # at most 0.6 expected, more than 3 in one run of 300


@pytest.mark.slow
def test_p_values_are_corrected_by_holm() -> None:
    found = told("label").questions
    order = sorted(found, key=lambda one: one.p)
    expected = np.maximum.accumulate([min(1.0, (len(order) - k) * one.p) for k, one in enumerate(order)])
    assert [one.corrected for one in order] == pytest.approx(expected)
    assert all(one.found == (one.corrected <= LEVEL) for one in found)


@pytest.mark.parametrize("count", [10, 12])
def test_few_examples_are_no_fault(count: int) -> None:
    found = diagnose(*world("none", 3, count), NAMES)
    assert found.kind in ("none", "cannot tell")


def test_names_that_one_set_lacks_are_told_both_ways() -> None:
    one, other, mine, theirs = world("none")
    found = diagnose(one[mine != 0], other[theirs != 2], mine[mine != 0], theirs[theirs != 2], NAMES)
    assert found.kind == "support" and set(found.missing_classes) == {("cat", "data"), ("fox", "other")}


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
def test_more_classes_than_are_drawn_to_a_mix_by_their_share_are_no_fault() -> None:
    draws, classes = np.random.default_rng(0), np.arange(500) % 250
    centres = draws.normal(size=(250, 40)) * 9
    one, other = (centres[classes] + draws.normal(size=(500, 40)) for _ in range(2))
    assert diagnose(one, other, classes, None, tuple(map(str, range(250)))).mix is not None


def test_every_other_is_predicted_where_folds_are_few() -> None:
    features = np.random.default_rng(0).normal(size=(30, 4))
    _, others = held_out_classes(features, np.arange(30) % 15, 15, 0, np.ones((40, 4)))
    assert len(np.unique(others.round(9), axis=0)) <= 2  # one model for each of two folds


def test_without_labels_a_missing_class_is_told() -> None:
    one, other, labels, _ = world("support", count=400)
    found = diagnose(one, other, labels, None, NAMES)
    assert found.missing_classes == (("dog", "other"),) and found.kind == "support"
    assert "classes" not in [question.name for question in found.questions]  # an estimate has no p-value
    assert all(question.p > 0 for question in found.questions)


def test_no_class_is_told_to_be_missing_where_inputs_of_all_classes_lie_elsewhere() -> None:
    one, other, labels, _ = world("none")
    other += np.array([6.0, -6, -6, 0, 0, 0])
    assert diagnose(one, other, labels, None, NAMES).missing_classes == ()
