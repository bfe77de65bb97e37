"""Suggestions: typical or covering examples while labels are few, later unsure ones that differ."""

from __future__ import annotations

import numpy as np

from headstart.evidence.coverage import covering
from headstart.evidence.suggestions import typical, uncertain

SIZES = (60, 30, 12)


def clusters(spread: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Features (102, 4) in three clusters, and the cluster of each."""
    draws, number = np.random.default_rng(0), np.repeat(np.arange(3), SIZES)
    return (np.eye(4)[number] + spread * draws.normal(size=(len(number), 4))).astype(np.float32), number


NONE = np.empty((0, 4), np.float32)


def test_without_labels_each_cluster_gives_its_most_typical_example_the_largest_first() -> None:
    features, number = clusters()
    found = typical(features, NONE, 3, seed=0)
    assert [number[one.row] for one in found] == [0, 1, 2]
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    for one in found:
        inside = np.flatnonzero(number == number[one.row])
        far = np.linalg.norm(unit[inside][:, None] - unit[inside][None], axis=2)
        count = min(20, len(inside) - 1)
        means = np.sort(far, axis=1)[:, 1 : count + 1].mean(axis=1)
        assert one.row == inside[means.argmin()]
    assert "60 similar examples, none of them labelled" in found[0].reason


def test_clusters_that_have_labels_come_last() -> None:
    features, number = clusters()
    labelled = features[np.flatnonzero(number == 0)[:1]]
    rest = np.delete(np.arange(len(features)), np.flatnonzero(number == 0)[:1])
    found = typical(features[rest], labelled, 2, seed=0)
    assert [number[rest][one.row] for one in found] == [1, 2]


def test_more_suggestions_than_clusters_are_spread_over_them() -> None:
    found = typical(clusters()[0], NONE, 102, seed=0)
    assert sorted(one.row for one in found) == list(range(102))


def test_copies_do_not_stop_it() -> None:
    same = np.ones((10, 4), np.float32)
    assert len({one.row for one in typical(same, NONE, 4, seed=0)}) == 4
    assert len({one.row for one in uncertain(same, np.full((10, 2), 0.5), ["a"] * 10, 10, seed=0)}) == 10
    assert len({one.row for one in covering(same, NONE, 4, 2, seed=0)}) == 4


def test_unsure_examples_that_differ_are_taken() -> None:
    """The probe is unsure of two groups and sure of the third: one of each of the former."""
    features, number = clusters(spread=0.01)
    sure = np.where(number == 0, 0.999, 0.51)
    probabilities = np.stack([sure, 1 - sure], axis=1)
    found = uncertain(features, probabilities, [f"class {number[row]}" for row in range(102)], 2, seed=0)
    assert {number[one.row] for one in found} == {1, 2}
    assert found[0].reason == f"guessed class {number[found[0].row]}, 51% sure"


def test_covering_examples_are_those_of_the_largest_groups_that_no_label_covers() -> None:
    features, number = clusters()
    first = np.flatnonzero(number == 0)[:1]
    rest = np.delete(np.arange(len(features)), first)
    assert [number[one.row] for one in covering(features, NONE, 3, 3, seed=0)] == [0, 1, 2]
    assert [number[rest][one.row] for one in covering(features[rest], features[first], 2, 3, seed=0)] == [1, 2]
    assert "stands for 60 examples, no labelled one near" in covering(features, NONE, 1, 3, seed=0)[0].reason
