"""Precision, recall and F1 of entities by seqeval (strict, IOB2), and the share of right tags.

An entity is right when its words and its type are. Counts add up over texts, so that a resample of texts needs no more
than the counts of each: F1 = 2 right / (predicted + true). A figure of nothing is undefined, not 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_array
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.scheme import IOB2

from headstart.contracts.metric import SHARE, Metric, Replicates, Support
from headstart.contracts.prediction import Prediction
from headstart.contracts.task import Targets
from headstart.tasks._reweighted import f1_trials, weighted_means
from headstart.tasks.tagging.tags import TagSet

TAGS = "tags"
"""Target and prediction: the tags of each text's words."""

SeqevalScore = Callable[..., float]


def tagging_metrics(tags: TagSet) -> tuple[Metric, ...]:
    """F1 first."""
    return (
        _entities("f1", "F1", f1_score, (2, 0, 0), (0, 1, 1), tags),
        _entities("precision", "Precision", precision_score, (1, 0, 0), (0, 1, 0), tags),
        _entities("recall", "Recall", recall_score, (1, 0, 0), (0, 0, 1), tags),
        Metric("accuracy", "Accuracy", True, _accuracy, _accuracy_replicates, SHARE, (0.0, 1.0)),
    )


def entity_counts(truth: np.ndarray, predicted: np.ndarray, tags: TagSet) -> np.ndarray:
    """(types, texts, 3) float64: right, predicted and true entities of each type in each text.

    Args:
        truth: (texts,) of tags (words,).
        predicted: alike.
        tags: what they are.
    """
    counts = np.zeros((len(tags.types), len(truth), 3))
    for row, (right, found) in enumerate(zip(truth, predicted)):
        true_entities, found_entities = set(tags.entities(right)), set(tags.entities(found))
        groups = (true_entities & found_entities, found_entities, true_entities)
        for column, entities in enumerate(groups):
            for entity in entities:
                counts[entity.type, row, column] += 1
    return counts


def ratios(counts: np.ndarray, above: tuple[int, ...], below: tuple[int, ...]) -> np.ndarray:
    """Weighted sums of counts (..., 3) by each other; NaN where nothing is counted."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return (counts @ np.array(above, np.float64)) / (counts @ np.array(below, np.float64))


def _entities(
    name: str, title: str, seqeval: SeqevalScore, above: tuple[int, ...], below: tuple[int, ...], tags: TagSet
) -> Metric:
    def score(targets: Targets, prediction: Prediction) -> float:
        truth, predicted = targets[TAGS], prediction.columns[TAGS]
        if not ((entity_counts(truth, predicted, tags) @ np.array(below)) > 0).any():
            return float("nan")
        names = np.array(tags.names, dtype=object)
        written = [[names[row].tolist() for row in rows] for rows in (truth, predicted)]
        return float(seqeval(*written, mode="strict", scheme=IOB2, zero_division=0))

    def replicates(targets: Targets, prediction: Prediction) -> Replicates:
        counts = entity_counts(targets[TAGS], prediction.columns[TAGS], tags).sum(axis=0)
        return lambda weights: ratios(weights @ counts, above, below)

    def support(targets: Targets, prediction: Prediction) -> Support:
        return entity_support(entity_counts(targets[TAGS], prediction.columns[TAGS], tags).sum(axis=0), above, below)

    return Metric(name, title, True, score, replicates, SHARE, (0.0, 1.0), support=support)


def entity_support(counts: np.ndarray, above: tuple[int, ...], below: tuple[int, ...]) -> Support:
    """Support of a ratio of counts (texts, 3): the texts with a true or predicted entity that it counts."""
    value, (right, predicted, true) = ratios(counts.sum(axis=0), above, below), counts.sum(axis=0)
    parts = [name for name, counted in zip(("", "predicted", "true"), below) if counted]
    both = len(parts) == 2
    trials = f1_trials(predicted + true - right, value) if both else max(predicted if below[1] else true, 1.0)
    noun, rows = "texts with", (counts @ np.array(below, np.float64) > 0)[:, None]
    name = "an entity" if both else f"a {parts[0]} entity"
    return Support(noun, [name], csr_array(rows), np.array([value]), np.array([trials], np.float64))


def _right_tags(targets: Targets, prediction: Prediction) -> tuple[np.ndarray, np.ndarray]:
    """Right tags and words of each text."""
    pairs = list(zip(targets[TAGS], prediction.columns[TAGS]))
    right = np.array([np.sum(truth == found) for truth, found in pairs], np.float64)
    return right, np.array([len(truth) for truth, _ in pairs], np.float64)


def _accuracy(targets: Targets, prediction: Prediction) -> float:
    right, words = _right_tags(targets, prediction)
    return float(right.sum() / words.sum()) if words.sum() else float("nan")


def _accuracy_replicates(targets: Targets, prediction: Prediction) -> Replicates:
    right, words = _right_tags(targets, prediction)
    return lambda weights: weighted_means(weights, right) / weighted_means(weights, words)
