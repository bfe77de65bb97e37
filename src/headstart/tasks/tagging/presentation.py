"""Spans as tables and reports show them: figures of each type, what is taken for what, and the worst texts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from headstart.contracts.examples import Examples
from headstart.contracts.metric import SHARE
from headstart.contracts.panels import Mark, Matrix, Mistake, Panel, Table
from headstart.contracts.prediction import Prediction
from headstart.contracts.review import Review
from headstart.contracts.task import Targets
from headstart.numerics.bootstrap import Resamples, interval
from headstart.numerics.score_interval import Shares
from headstart.tasks.tagging.chain import entity_probabilities
from headstart.tasks.tagging.labels import TARGET as SPANS
from headstart.tasks.tagging.labels import as_json, labelled_spans
from headstart.tasks.tagging.metrics import TAGS, entity_counts, entity_support, ratios
from headstart.tasks.tagging.tags import Entity, TagSet
from headstart.tasks.tagging.task import BoundTagging
from headstart.tasks.tagging.words import WORDS

F1 = (2, 0, 0), (0, 1, 1)
"""Weights of an entity count's right, predicted and true ones, above and below."""
LARGEST_MATRIX = 39
"""Types up to which confusions are shown as a matrix."""

NOTHING = "no entity"


class TaggingPresentation(NamedTuple):
    """Labelled spans, shown."""

    tags: TagSet

    def labels(self, examples: Examples) -> Sequence[Any]:
        """Return the spans of each text as JSON."""
        return [as_json(spans) for spans in labelled_spans(examples)]

    def tally(self, labels: Sequence[Any]) -> Mapping[str, int]:
        """Count the entities of each type."""
        return Counter(span["label"] for text in labels for span in json.loads(text))

    def columns(self, prediction: Prediction) -> Mapping[str, np.ndarray]:
        """ "prediction": the spans as JSON, [{"start", "end", "label", "score"}, ...], in characters of the text.

        The score is the probability of exactly this span, in [0, 1].
        """
        columns = (prediction.columns[name] for name in (TAGS, WORDS, "log_probabilities"))
        return {"prediction": np.array([as_json(self._spans(*row)) for row in zip(*columns)], dtype=object)}

    def panels(self, prediction: Prediction, targets: Targets) -> tuple[Panel, ...]:
        """Return figures of each type, what became of the entities, and confusions word by word."""
        truth, predicted = targets[TAGS], prediction.columns[TAGS]
        shown: list[Panel] = [_each_type(self.tags, truth, predicted), _errors(self.tags, truth, predicted)]
        if len(self.tags.types) <= LARGEST_MATRIX:
            shown.append(_confusions(self.tags, truth, predicted))
        return tuple(shown)

    def mistakes(self, prediction: Prediction, targets: Targets, most: int) -> tuple[Mistake, ...]:
        """Return texts with wrong entities, those with the most of them first."""
        truth, predicted, words = targets[TAGS], prediction.columns[TAGS], prediction.columns[WORDS]
        counts = entity_counts(truth, predicted, self.tags).sum(axis=0)
        wrong = counts[:, 1] + counts[:, 2] - 2 * counts[:, 0]
        return tuple(
            _mistake(int(row), wrong[row], self.tags, truth[row], predicted[row], words[row])
            for row in np.argsort(-wrong, kind="stable")[:most]
            if wrong[row]
        )

    def _spans(self, tags: np.ndarray, words: np.ndarray, scores: np.ndarray) -> list[dict[str, Any]]:
        entities = self.tags.entities(tags)
        certain = entity_probabilities(scores, entities, self.tags)
        return [
            {
                "start": int(words[first, 0]),
                "end": int(words[stop - 1, 1]),
                "label": self.tags.types[kind],
                "score": round(float(score), 4),
            }
            for (first, stop, kind), score in zip(entities, certain)
        ]


def presentation(task: BoundTagging) -> TaggingPresentation:
    """Show spans as JSON."""
    return TaggingPresentation(task.tags)


def review(examples: Examples) -> Review:
    """Review labelled spans: how many have which label."""
    counts = Counter(span["label"] for spans in examples.target(SPANS) for span in spans or ())
    listed = ", ".join(f"{name} {count}" for name, count in sorted(counts.items())[:20])
    said = f"{counts.total()} labelled spans in {len(examples)} texts: {listed or 'none'}"
    return Review(missing=examples.target(SPANS).count(None), notes=(said,))


def _mistake(
    row: int, wrong: float, tags: TagSet, truth: np.ndarray, predicted: np.ndarray, words: np.ndarray
) -> Mistake:
    true_marks, found_marks = (_marks(tags.entities(of), tags, words) for of in (truth, predicted))
    return Mistake(
        row=row,
        truth=_in_words(true_marks),
        predicted=_in_words(found_marks),
        weight=float(wrong),
        weight_text=f"{wrong:.0f} {'entity' if wrong == 1 else 'entities'} missed or wrong",
        true_marks=true_marks,
        predicted_marks=found_marks,
    )


def _marks(entities: Sequence[Entity], tags: TagSet, words: np.ndarray) -> tuple[Mark, ...]:
    return tuple(
        Mark(start=int(words[first, 0]), end=int(words[stop - 1, 1]), label=tags.types[kind])
        for first, stop, kind in entities
    )


def _in_words(marks: Sequence[Mark]) -> str:
    return ", ".join(f"{mark.label} {mark.start}-{mark.end}" for mark in marks) or NOTHING


def _each_type(tags: TagSet, truth: np.ndarray, predicted: np.ndarray) -> Table:
    counts = entity_counts(truth, predicted, tags)
    drawn = Resamples(len(truth), None, seed=0)
    in_all = drawn.of(*(partial(_f1_of, of_type) for of_type in counts))
    rows = []
    for name, of_type, replicates in zip(tags.types, counts, in_all):
        right, found, true = of_type.sum(axis=0)
        values = [_defined(ratios(of_type.sum(axis=0), (1, 0, 0), below)) for below in ((0, 1, 0), (0, 0, 1))]
        f1 = float(ratios(of_type.sum(axis=0), *F1))
        written = None if np.isnan(f1) else _interval(replicates, f1, of_type)
        rows.append((name, *values, _defined(f1), written, int(true), int(found), int(right)))
    return Table(
        title="Each type",
        note="Entities that are right in all their words and in their type; intervals over the texts with any. "
        "Precision is empty for a type that was never predicted, recall for one that never occurs.",
        header=("type", "precision", "recall", "F1", "95 % interval of F1", "true", "predicted", "right"),
        units=("", SHARE, SHARE, SHARE),
        rows=tuple(rows),
    )


def _interval(replicates: np.ndarray, f1: float, of_type: np.ndarray) -> str:
    """Of the F1 of one type, from its counts (texts, 3)."""
    support = entity_support(of_type, *F1)
    holding = int(support.rows.sum())  # texts without the type say nothing of it
    if holding < support.fewest:
        return f"too few texts: {holding}"
    if support.values is None or support.trials is None:
        raise TypeError("F1 has shares")
    shares = Shares(support.values, support.trials, np.array([float(holding)]))
    low, high = interval(replicates, f1, holding, (0.0, 1.0), shares)
    return f"{100 * low:.1f}–{100 * high:.1f} %"


def _f1_of(of_type: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return F1 (resamples,) from counts (texts, 3) under weights (resamples, texts)."""
    return ratios(weights @ of_type, *F1)


def _errors(tags: TagSet, truth: np.ndarray, predicted: np.ndarray) -> Table:
    """Of each type: what became of its true entities, and what was predicted where there is none."""
    fates = np.zeros((len(tags.types), 5), int)
    for right, found in zip(truth, predicted):
        true_entities, found_entities = tags.entities(right), tags.entities(found)
        for entity in true_entities:
            fates[entity.type, _fate(entity, found_entities)] += 1
        for entity in found_entities:
            fates[entity.type, 4] += not any(_touch(entity, other) for other in true_entities)
    return Table(
        title="What became of the entities",
        note="'Other words': an entity was predicted that shares words with it, of any type. 'Where there is none': "
        "predictions of the type that touch no entity.",
        header=("type", "right", "other type", "other words", "missed", "predicted where there is none"),
        rows=tuple((name, *counts) for name, counts in zip(tags.types, fates.tolist())),
    )


def _fate(entity: Entity, found: Sequence[Entity]) -> int:
    if entity in found:
        return 0
    if any((other.first, other.stop) == (entity.first, entity.stop) for other in found):
        return 1
    return 2 if any(_touch(entity, other) for other in found) else 3


def _touch(one: Entity, other: Entity) -> bool:
    return one.first < other.stop and other.first < one.stop


def _confusions(tags: TagSet, truth: np.ndarray, predicted: np.ndarray) -> Matrix:
    size = len(tags.types) + 1
    counts = np.zeros((size, size), np.int64)
    for right, found in zip(truth, predicted):
        np.add.at(counts, (tags.kinds[right], tags.kinds[found]), 1)  # -1, no entity, is the last row and column
    return Matrix(
        title="Confusions, word by word",
        note="Rows are the true types, columns the predicted ones.",
        names=(*tags.types, NOTHING),
        counts=tuple(tuple(row) for row in counts.tolist()),
    )


def _defined(value: np.ndarray | float) -> float | None:
    return None if np.isnan(value) else float(value)
