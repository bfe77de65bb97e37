"""Tagging: named entities, or any labelled spans of words, from the vector of each word's first token.

A linear head gives every word the scores of its tags (IOB2); the loss is the cross-entropy over words, as in BERT
(Devlin et al. 2019, section 5.3). Decoding takes the best sequence of tags that is well-formed, so that no I- tag
stands without its beginning. Texts longer than the backbone reads are cut into windows that overlap, and each word is
tagged in the window where it has the most context.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from pydantic import field_validator
from scipy.special import log_softmax
from torch import Tensor, nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import PADDED_TARGET, Batch, Features, MapShape, Prediction
from headstart.contracts.examples import Examples
from headstart.contracts.metric import Metric
from headstart.contracts.panels import Mistake, Panel
from headstart.contracts.targets import TagSequences, TargetKinds
from headstart.contracts.task import ChosenBy, PlainTask, Reads, Targets
from headstart.contracts.windows import Windows
from headstart.kernel.errors import DataError
from headstart.kernel.randomness import draw_seed
from headstart.media.words import Place
from headstart.numerics.calibration import fit_temperature
from headstart.tasks._label_kinds import natural_order, origins_of
from headstart.tasks._learnt_state import TEMPERATURE, distinct, require_calibration, require_names
from headstart.tasks._logistic import solve_logistic
from headstart.tasks.tagging.chain import best_tags, entity_probabilities
from headstart.tasks.tagging.labels import (
    TARGET,
    as_json,
    column_of,
    labelled_entities,
    labelled_spans,
    require_texts,
)
from headstart.tasks.tagging.metrics import TAGS, tagging_metrics
from headstart.tasks.tagging.panels import tagging_exhibits, worst_texts
from headstart.tasks.tagging.tags import Entity, TagSet
from headstart.tasks.tagging.windows import cut_texts, joined_texts
from headstart.tasks.tagging.words import as_ragged, word_places, word_vectors

WORDS = "words"
"""Query and prediction: the places of each text's words."""

START_SCALE = 0.01
"""Standard deviation of a fresh head's weights: small, so that training starts from nearly equal probabilities."""

MOST_SOLVED = 200_000
"""Words that the linear head is solved on at most; of more, so many are drawn."""


class Tagging(PlainTask):
    """Labelled spans of words in a text, such as names of persons."""

    reads: ClassVar[Reads] = "tokens"
    chosen_by: ClassVar[ChosenBy] = "metric"
    target_kinds: ClassVar[TargetKinds] = {TAGS: TagSequences()}

    types: tuple[str, ...] = ()
    """Entity types in order; empty: learnt from the labels, sorted naturally. If given, another type is an error."""
    several_words: bool = True
    """Whether an entity may have several words; learnt from the labels: False for tags of a word each."""

    _distinct = field_validator("types")(distinct)

    @classmethod
    def suits(cls, examples: Examples) -> str | None:
        """Whether spans of characters are labelled."""
        if TARGET not in examples.schema.targets:
            return None
        spans = sum(len(value) for value in examples.target(TARGET) if value)
        return f"the labels are {spans} spans in {len(examples)} texts"

    def bind(self, examples: Examples) -> Self:
        """Learn the types.

        Raises:
            DataError: missing labels, no span at all, or inputs that are no single texts.
        """
        require_texts(examples)
        counts = Counter(span["label"] for spans in labelled_spans(examples) for span in spans)
        if not counts:
            raise DataError(f"{column_of(examples)}: none of the {len(examples)} texts has a labelled span")
        types = self.types or tuple(sorted(counts, key=natural_order))
        several = _may_span_words(labelled_entities(examples, types))
        return self.model_copy(update={"types": types, "several_words": several})

    def continued(self, examples: Examples) -> Self:
        """New types come after the known ones. Raises DataError as `bind` and `targets`."""
        require_texts(examples)
        found = {span["label"] for spans in labelled_spans(examples) for span in spans}
        task = self.model_copy(update={"types": (*self.types, *sorted(found - set(self.types), key=natural_order))})
        task.targets(examples)
        return task

    def require_learnt(self, calibration: Mapping[str, float]) -> None:
        """A type or more, and a temperature. Raises SettingsError."""
        require_names("types", self.types, 1)
        require_calibration(calibration, (TEMPERATURE,))

    def targets(self, examples: Examples) -> Targets:
        """{"tags": (examples,) of (words,) int64}. Raises DataError on a span that binding did not see the like of."""
        rows = []
        for row, (entities, words) in enumerate(labelled_entities(examples, self.types)):
            if not self.several_words and any(entity.stop - entity.first > 1 for entity in entities):
                where = f"{column_of(examples)}, {origins_of(examples, [row])}"
                raise DataError(f"{where}: a span of several words; in training every tag labelled its own word")
            rows.append(self._tags.encode(entities, len(words)))
        return {TAGS: as_ragged(rows)}

    def head_inputs(self, examples: Examples) -> Targets:
        """{"words": (examples,) of (words, 2) int64}: their places."""
        return {WORDS: as_ragged([np.array(words, np.int64).reshape(-1, 2) for words in word_places(examples)])}

    def labels(self, examples: Examples) -> Sequence[Any]:
        """The spans of each text as JSON."""
        return [as_json(spans) for spans in labelled_spans(examples)]

    def tally(self, labels: Sequence[Any]) -> Mapping[str, int]:
        """Entities of each type."""
        return Counter(span["label"] for text in labels for span in json.loads(text))

    def strata_names(self, strata: np.ndarray, labels: Sequence[Any]) -> Sequence[str]:  # noqa: ARG002
        """The types; `strata` (examples,) counts from 0 for none."""
        return ("no entity", *self.types)

    def strata(self, targets: Targets) -> np.ndarray:
        """The rarest type in each text, numbered from 1; 0 for a text without entities."""
        held = [np.unique(self._tags.kinds[tags]) for tags in targets[TAGS]]
        counts = np.bincount(np.concatenate([*held, [-1]]) + 1, minlength=len(self.types) + 1)
        counts[0] = len(held) + 1
        return np.array([min(kinds + 1, key=lambda kind: (counts[kind], kind), default=0) for kinds in held], np.int64)

    def cut(self, examples: Examples, backbone: Backbone) -> Windows | None:
        """Windows of long texts, each with words of its own and others around them; see `tasks/tagging/windows.py`."""
        return cut_texts(examples, backbone)

    def merged(self, prediction: Prediction, windows: Windows) -> Prediction:
        """The words of each text's windows, one after the other."""
        return joined_texts(prediction, windows)

    def head(self, width: int, maps: tuple[MapShape, ...] = ()) -> nn.Linear:  # noqa: ARG002
        """(batch, words, width) -> (batch, words, tags); weights normal with deviation 0.01, biases 0."""
        head = nn.Linear(width, len(self._tags.names))
        nn.init.normal_(head.weight, std=START_SCALE)
        nn.init.zeros_(head.bias)
        return head

    def samples(self, features: Features, batch: Batch, seed: int) -> tuple[np.ndarray, Targets, np.ndarray]:  # noqa: ARG002
        """The vectors of all words that have a token and a tag."""
        vectors, has_token = word_vectors(features, batch)
        tags = batch.targets[TAGS].to(has_token.device)
        used = has_token & (tags != PADDED_TARGET)
        positions = torch.arange(len(tags), device=tags.device)[:, None].expand_as(tags)
        words, codes, where = (values[used].cpu().numpy() for values in (vectors, tags, positions))
        return words, {TAGS: codes}, where

    def apply(self, head: nn.Module, features: Features, batch: Batch) -> Mapping[str, Tensor]:
        """{"logits": (batch, words, tags), "words": their places, "has_token": (batch, words)}"""
        vectors, has_token = word_vectors(features, batch)
        logits = head(vectors) * has_token[:, :, None]
        return {"logits": logits, WORDS: batch.head_inputs[WORDS], "has_token": has_token}

    def losses(self, outputs: Mapping[str, Tensor], batch: Batch) -> Mapping[str, Tensor]:
        """{"cross_entropy": scalar}, the mean over the words of the batch that have a token; 0 without any."""
        tags = batch.targets[TAGS].masked_fill(~outputs["has_token"], PADDED_TARGET)
        total = nn.functional.cross_entropy(outputs["logits"].transpose(1, 2), tags, reduction="sum")
        return {"cross_entropy": total / (tags != PADDED_TARGET).sum().clamp(min=1)}

    def weight(self, batch: Batch) -> float:
        """By its tagged words."""
        return float((batch.targets[TAGS] != PADDED_TARGET).sum())

    def decode(self, outputs: Mapping[str, Tensor]) -> Prediction:
        """Columns "logits", (examples,) of (words, tags) float64, and "words" (words, 2)."""
        places = outputs[WORDS].cpu().numpy()
        logits = outputs["logits"].detach().double().cpu().numpy()
        real = places[:, :, 0] >= 0
        return Prediction(
            {
                "logits": as_ragged([row[kept] for row, kept in zip(logits, real)]),
                WORDS: as_ragged([row[kept] for row, kept in zip(places, real)]),
            }
        )

    def calibrate(self, prediction: Prediction, targets: Targets) -> Mapping[str, float]:
        """{"temperature": T}, T in [0.05, 20], over words; 1 on fewer than 10."""
        return {
            "temperature": fit_temperature(_stacked(prediction.columns["logits"]), np.concatenate([*targets[TAGS]]))
        }

    def finish(self, prediction: Prediction, calibration: Mapping[str, float]) -> Prediction:
        """Adds columns "log_probabilities" (words, tags) and "tags" (words,): the best well-formed sequence."""
        temperature, allowed = calibration.get("temperature", 1.0), self._tags.allowed
        scores = [log_softmax(logits / temperature, axis=1) for logits in prediction.columns["logits"]]
        found = {"log_probabilities": as_ragged(scores), TAGS: as_ragged([best_tags(row, allowed) for row in scores])}
        return Prediction({**prediction.columns, **found})

    def metrics(self) -> tuple[Metric, ...]:
        """f1, precision and recall of entities over all types (micro), and accuracy of tags."""
        return tagging_metrics(self._tags)

    def solve(
        self, features: np.ndarray, targets: Targets, groups: np.ndarray | None, seed: int
    ) -> tuple[nn.Linear, dict[str, float]]:
        """L2-regularised multinomial logistic regression over words (words, width); see `tasks/_logistic.py`.

        Every word counts alike, O or not: the head is the maximum-likelihood one, as the loss has it.

        Returns:
            The head, and {"C", "cv_score", "folds", "scaled_each", "words"} as in classification.
        """
        tags = targets[TAGS]
        if len(tags) > MOST_SOLVED:
            draws = np.random.default_rng(draw_seed(seed, "words"))
            rows = np.sort(draws.choice(len(tags), MOST_SOLVED, replace=False))
            features, tags, groups = features[rows], tags[rows], None if groups is None else groups[rows]
        solution = solve_logistic(features, tags, len(self._tags.names), weights=None, groups=groups, seed=seed)
        head = self.head(features.shape[1])
        with torch.no_grad():
            head.weight.copy_(torch.from_numpy(solution.weight))
            head.bias.copy_(torch.from_numpy(solution.bias))
        chosen = {"C": solution.C, "cv_score": solution.cv_score, "folds": solution.folds, "words": len(tags)}
        return head, {**chosen, "scaled_each": int(solution.scaled_each)}

    def rows(self, prediction: Prediction) -> Mapping[str, np.ndarray]:
        """ "prediction": the spans as JSON, [{"start", "end", "label", "score"}, ...], in characters of the text.

        The score is the probability of exactly this span, in [0, 1].
        """
        columns = (prediction.columns[name] for name in (TAGS, WORDS, "log_probabilities"))
        found = [self._spans(*row) for row in zip(*columns)]
        return {"prediction": np.array([as_json(spans) for spans in found], dtype=object)}

    def panels(self, prediction: Prediction, targets: Targets) -> tuple[Panel, ...]:
        """Figures of each type, what became of the entities, and confusions word by word."""
        return tagging_exhibits(self._tags, prediction, targets)

    def mistakes(self, prediction: Prediction, targets: Targets, most: int) -> tuple[Mistake, ...]:
        """Texts with wrong entities, those with the most of them first."""
        return worst_texts(self._tags, prediction, targets, prediction.columns[WORDS], most)

    @property
    def tag_names(self) -> tuple[str, ...]:
        """'O', 'B-person', 'I-person', ...: what the numbers of `targets` mean."""
        return self._tags.names

    @property
    def _tags(self) -> TagSet:
        return TagSet(self.types, self.several_words)

    def _spans(self, tags: np.ndarray, words: np.ndarray, scores: np.ndarray) -> list[dict[str, Any]]:
        entities = self._tags.entities(tags)
        certain = entity_probabilities(scores, entities, self._tags)
        return [
            {
                "start": int(words[first, 0]),
                "end": int(words[stop - 1, 1]),
                "label": self.types[kind],
                "score": round(float(score), 4),
            }
            for (first, stop, kind), score in zip(entities, certain)
        ]


def _may_span_words(entities: Sequence[tuple[Sequence[Entity], Sequence[Place]]]) -> bool:
    """False where every tag labels its own word: no entity has two, and most words are tagged."""
    sizes = [entity.stop - entity.first for found, _ in entities for entity in found]
    return max(sizes) > 1 or 2 * len(sizes) < sum(len(words) for _, words in entities)


def _stacked(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([*rows])
