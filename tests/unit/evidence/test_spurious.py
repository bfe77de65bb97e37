"""Spurious attributes: named where one tells the classes apart, and rarely where none does."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata

from headstart.evidence import spurious as module
from headstart.evidence.spurious import Spurious, in_words, spurious

CLASSES = ("cat", "dog", "fox")


def drawn(seed: int, count: int = 240) -> tuple[np.random.Generator, np.ndarray]:
    draws = np.random.default_rng(seed)
    return draws, np.eye(3, dtype=bool)[draws.integers(3, size=count)]


def named(found: list[Spurious]) -> dict[str, str]:
    return {one.attribute: one.label for one in found if one.suspicious}


@pytest.mark.parametrize("kind", ["names", "numbers"])
def test_an_attribute_that_goes_with_one_class_is_named_with_that_class(kind: str) -> None:
    draws, labels = drawn(0)
    mark = labels[:, 1] ^ (draws.random(240) < 0.1)
    values = [f"camera {int(one)}" for one in mark] if kind == "names" else mark + draws.normal(size=240) / 9
    found = spurious({"column 'x'": values, "noise": draws.normal(size=240)}, labels, CLASSES)
    assert named(found) == {"column 'x'": "dog"} and found[0].score == pytest.approx(0.8, abs=0.15)
    assert "tells 'dog' from the rest" in in_words(found[0], 2)


@pytest.mark.slow
def test_attributes_that_say_nothing_are_called_beyond_chance_as_rarely_as_the_level_says() -> None:
    smallest = []
    for seed in range(50):
        draws, labels = drawn(seed, 90)
        attributes = {"numbers": draws.normal(size=90), "names": [str(k) for k in draws.integers(4, size=90)]}
        smallest.append(min(one.p for one in spurious(attributes, labels, CLASSES, seed=seed)))
    assert sum(p <= 0.1 for p in smallest) <= 10  # 5 expected, more than 10 in one run of 100
    assert sum(p <= 0.01 for p in smallest) <= 3


@pytest.mark.parametrize(("reach", "bad"), [(0.0, True), (1.0, False)])
def test_what_goes_with_the_label_less_than_content_does_is_not_suspicious(reach: float, bad: bool) -> None:
    draws, labels = drawn(1, 600)
    faint = labels[:, 0] ^ (draws.random(600) < 0.25)  # J of a half
    content = reach * labels + draws.random((600, 3)) / 2
    (found,) = spurious({"faint": [str(one) for one in faint]}, labels, CLASSES, content=content)
    assert found.suspicious is bad and found.p < 0.01
    assert found.content == pytest.approx(reach, abs=0.15)


def test_scores_are_those_of_the_bins_of_the_other_folds() -> None:
    draws, labels = drawn(2, 60)
    codes, folds, member = draws.integers(3, size=60), draws.integers(module.FOLDS, size=60), labels.astype(float)
    found = module._Table(codes, folds).scores(member)
    for k in range(3):
        hits, misses = 0.0, 0.0
        for row in range(60):
            rest = [other for other in range(60) if folds[other] != folds[row]]
            inside, outside = ([o for o in rest if labels[o, k] == is_in] for is_in in (True, False))
            shares = [np.mean([codes[o] == codes[row] for o in some]) for some in (inside, outside)]
            called = 0.5 if shares[0] == shares[1] else float(shares[0] > shares[1])
            hits, misses = (hits + called, misses) if labels[row, k] else (hits, misses + called)
        count = labels[:, k].sum()
        assert found[k] == pytest.approx(hits / count - misses / (60 - count), abs=1e-6)


def test_p_is_that_of_the_greatest_standardised_score() -> None:
    scores = np.random.default_rng(0).normal(size=(100, 2, 3))
    scores[0, 0, 1] += 4
    mean, spread = scores[1:].mean(axis=0), scores[1:].std(axis=0)
    greatest = ((scores - mean) / spread)[1:].reshape(99, 6).max(axis=1)
    (k, _, p, _), _ = module._judged(scores, None)
    own = (scores[0, 0, 1] - mean[0, 1]) / spread[0, 1]
    assert k == 1 and p == pytest.approx((1 + sum(greatest >= own)) / 100)


def test_youden_of_content_is_that_of_the_highest_scores() -> None:
    draws, labels = drawn(3, 50)
    scores = draws.random((50, 3))
    found = module._youden(scores, labels)
    for k in range(3):
        called = rankdata(-scores[:, k]) <= labels[:, k].sum()
        assert found[k] == pytest.approx(called[labels[:, k]].mean() - called[~labels[:, k]].mean())


def test_copies_and_groups_count_once() -> None:
    draws, labels = drawn(4, 30)
    again = np.repeat(np.arange(30), 10)  # a number of each of 30 patients goes with the class by chance
    attributes = {"noise": np.repeat(draws.normal(size=30), 10)}
    (alone,) = spurious(attributes, labels[again], CLASSES, units=again)
    assert alone.examples == 30 and not alone.suspicious


def test_what_cannot_tell_is_passed_over() -> None:
    draws, labels = drawn(5)
    names = [CLASSES[k] for k in labels.argmax(axis=1)]
    attributes = {
        "constant": np.ones(240),
        "missing": np.full(240, np.nan),
        "identifier": [str(row) for row in range(240)],
        "folder, level 1": [f"{name}s" for name in names],
    }
    assert spurious(attributes, labels, CLASSES) == []
    assert spurious({"x": draws.normal(size=240)}, np.ones((240, 1), dtype=bool), ("only",)) == []
    found = spurious({"column 'place'": attributes["folder, level 1"]}, labels, CLASSES)
    assert named(found).keys() == {"column 'place'"}  # a column is no sorting into folders


def test_examples_without_a_label_or_with_several_are_no_fault() -> None:
    member = np.tile([[True, False], [True, True], [False, False], [False, True]], (20, 1))
    (found,) = spurious({"x": np.tile([1.0, np.nan, 7.0, 2.0], 20)}, member, ("a", "b"))
    assert found.suspicious and found.examples == 60


def test_folders_of_many_classes_are_no_attribute() -> None:
    classes = tuple(f"class {k:02}" for k in range(15))
    labels = np.repeat(np.eye(15, dtype=bool), 12, axis=0)
    folders = [name for name in classes for _ in range(12)]
    assert spurious({"folder, level 1": folders}, labels, classes) == []
