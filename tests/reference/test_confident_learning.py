"""Confident joint and label quality against cleanlab, where it is installed, and against the formulas in longhand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from headstart.evidence import label_quality
from headstart.evidence.confident_learning import confident_joint


def noisy(seed: int, examples: int = 400, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    labels = np.r_[np.arange(classes).repeat(2), draws.integers(classes, size=examples - 2 * classes)]
    probabilities = softmax(2 * np.eye(classes)[labels] + 1.5 * draws.normal(size=(examples, classes)), axis=1)
    wrong = draws.random(examples) < 0.1
    return np.where(wrong, (labels + 1) % classes, labels), probabilities


@pytest.mark.parametrize("seed", range(5))
def test_the_confident_joint_is_that_of_the_paper(seed: int) -> None:
    labels, p = noisy(seed)
    classes = p.shape[1]
    thresholds = [np.mean([p[n, j] for n in range(len(p)) if labels[n] == j]) for j in range(classes)]
    counts = np.zeros((classes, classes))
    for n in range(len(p)):
        over = [j for j in range(classes) if p[n, j] >= thresholds[j]]
        if over:
            counts[labels[n], max(over, key=lambda j: p[n, j])] += 1
    found = confident_joint(labels, p)
    np.testing.assert_array_equal(found.counts, counts)
    joint = np.array([counts[i] / counts[i].sum() * (labels == i).sum() for i in range(classes)])
    np.testing.assert_allclose(found.joint(), joint / joint.sum(), atol=1e-12)
    share = found.share_wrong(0)
    assert share.low < share.value < share.high
    assert share.value == pytest.approx(1 - np.trace(joint) / joint.sum())


@pytest.mark.parametrize("seed", range(5))
def test_the_confident_joint_is_cleanlabs(seed: int) -> None:
    count, filters = (pytest.importorskip(f"cleanlab.{name}") for name in ("count", "filter"))
    labels, p = noisy(seed)
    found = confident_joint(labels, p)
    np.testing.assert_array_equal(found.counts, count.compute_confident_joint(labels, p, calibrate=False))
    np.testing.assert_allclose(found.joint(), count.estimate_joint(labels, p), atol=2e-3)  # it rounds to examples
    theirs = filters.find_label_issues(labels, p, filter_by="confident_learning")
    np.testing.assert_array_equal(found.wrong, np.flatnonzero(theirs))


def test_label_quality_is_cleanlabs() -> None:
    pytest.importorskip("cleanlab")
    from cleanlab.multilabel_classification import get_label_quality_scores as of_sets
    from cleanlab.rank import get_label_quality_scores as of_classes
    from cleanlab.regression.rank import get_label_quality_scores as of_numbers
    from cleanlab.segmentation.rank import get_label_quality_scores as of_masks

    labels, p = noisy(0)
    np.testing.assert_allclose(label_quality.of_classes(labels, p), of_classes(labels, p), atol=1e-6)
    draws = np.random.default_rng(0)
    truth, sets = draws.integers(2, size=(50, 5)), draws.random((50, 5))
    named = [np.flatnonzero(row).tolist() for row in truth]
    np.testing.assert_allclose(label_quality.of_label_sets(truth, sets), of_sets(named, sets), atol=1e-6)
    values, predicted = draws.normal(size=100), draws.normal(size=100)
    spread = np.median(np.abs(values - predicted)) / 0.6744897501960817
    theirs = of_numbers(values / spread, predicted / spread, method="residual")
    np.testing.assert_allclose(label_quality.of_numbers(values, predicted), theirs, atol=1e-6)
    masks, pixels = draws.integers(3, size=(4, 6, 5)), softmax(draws.normal(size=(4, 3, 6, 5)), axis=1)
    own = np.take_along_axis(pixels, masks[:, None], axis=1).reshape(4, -1)
    theirs, _ = of_masks(masks, pixels, batch_size=2, verbose=False)
    np.testing.assert_allclose([label_quality.of_picture(row) for row in own], theirs, atol=1e-6)


def test_label_quality_in_longhand() -> None:
    labels, p = noisy(1)
    assert label_quality.of_classes(labels, p).tolist() == [p[n, labels[n]] for n in range(len(p))]
    scores = label_quality.of_label_sets(np.array([[1, 0, 1]]), np.array([[0.9, 0.3, 0.2]]))
    assert scores[0] == pytest.approx(0.8 * 0.2 + 0.2 * (0.8 * 0.7 + 0.2 * 0.9))  # 0.9, 0.7, 0.2
    voted = label_quality.with_neighbours(np.array([0.2, 0.2]), np.array([1.0, 0.3]))
    odds = [0.25 * np.exp(0.5), 0.25 * np.exp(-0.2)]
    np.testing.assert_allclose(voted, [one / (1 + one) for one in odds], atol=1e-9)
    right = np.array([0.9, 0.2, 0.5])
    weights = np.exp((1 - right) / 0.1)
    assert label_quality.of_picture(right) == pytest.approx(right @ weights / weights.sum())


def test_a_class_without_confident_examples_and_one_without_any_keep_their_labels() -> None:
    labels = np.array([0, 0, 1, 1])
    found = confident_joint(labels, np.array([[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.9, 0.1, 0.0], [0.85, 0.15, 0.0]]))
    assert np.isfinite(found.joint()).all() and found.joint().sum() == pytest.approx(1)
    assert found.joint()[2].sum() == 0
