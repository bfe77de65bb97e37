"""Tagging: named entities, or any labelled spans of words, from the vector of each word's first token.

A linear head gives every word the scores of its tags (IOB2); the loss is the cross-entropy over words, as in BERT
(Devlin et al. 2019, section 5.3). Decoding takes the best sequence of tags that is well-formed, so that no I- tag
stands without its beginning. Texts longer than the backbone reads are cut into windows that overlap, and each word is
tagged in the window where it has the most context.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from pydantic import Field, field_validator
from scipy.special import log_softmax
from torch import nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.examples import Examples
from headstart.contracts.features import Features
from headstart.contracts.linear_model import LinearModel
from headstart.contracts.prediction import Prediction
from headstart.contracts.target_kinds import TAG_SEQUENCES
from headstart.contracts.targets import PADDED_TARGET, TargetKinds
from headstart.contracts.task import (
    BoundTask,
    Calibration,
    Evaluation,
    FeatureSource,
    Needs,
    SplitPolicy,
    Targets,
    Tensors,
)
from headstart.contracts.windows import Windows
from headstart.kernel.errors import DataError
from headstart.kernel.randomness import draw_seed
from headstart.kernel.settings import Settings
from headstart.media.words import Place
from headstart.numerics.calibration import fit_temperature
from headstart.tasks._label_kinds import in_natural_order
from headstart.tasks._learnt_state import TEMPERATURE, distinct, temperature_of
from headstart.tasks.tagging.chain import best_tags
from headstart.tasks.tagging.labels import (
    TARGET,
    column_of,
    labelled_entities,
    labelled_spans,
    require_texts,
)
from headstart.tasks.tagging.metrics import TAGS, tagging_metrics
from headstart.tasks.tagging.tags import Entity, TagSet
from headstart.tasks.tagging.windows import cut_texts, joined_texts
from headstart.tasks.tagging.words import WORDS, as_ragged, word_places, word_vectors

START_SCALE = 0.01
"""Standard deviation of a fresh head's weights: small, so that training starts from nearly equal probabilities."""

MOST_SOLVED = 200_000
"""Words that the linear head is solved on at most; of more, so many are drawn."""


class Tagging(Settings):
    """Labelled spans of words in a text, such as names of persons."""

    types: tuple[str, ...] = ()
    """Entity types in order; empty: learnt from the labels, sorted naturally. If given, another type is an error."""

    _distinct = field_validator("types")(distinct)

    @classmethod
    def suits(cls, examples: Examples) -> str | None:
        """Return why the targets are labelled spans of characters; None without any."""
        if TARGET not in examples.schema.targets:
            return None
        spans = sum(len(value) for value in examples.target(TARGET) if value)
        return f"the labels are {spans} spans in {len(examples)} texts"

    def split_policy(self, examples: Examples) -> SplitPolicy:
        """Keep the rarest type of each text in proportion."""
        return _by_rarest(self.types or _types(examples), examples)

    def bind(self, examples: Examples, backbone: FeatureSource) -> BoundTagging:
        """Learn the types.

        Raises:
            DataError: missing labels, no span at all, or inputs that are not single texts.
        """
        found = _types(examples)
        if not found:
            raise DataError(f"{column_of(examples)}: none of the {len(examples)} texts has a labelled span")
        types = self.types or found
        several = _may_span_words(labelled_entities(examples, types))
        return BoundTagging(settings=self, types=types, several_words=several)

    def restore(self, learnt: Mapping[str, Any]) -> BoundTagging:
        """Take the types as they were learnt."""
        return BoundTagging.model_validate({**learnt, "settings": self})


class BoundTagging(BoundTask):
    """Tagging whose types are known."""

    target_kinds: ClassVar[TargetKinds] = {TAGS: TAG_SEQUENCES}
    in_sums: ClassVar[bool] = True

    settings: Tagging
    types: tuple[str, ...] = Field(min_length=1)
    """Entity types in order."""
    several_words: bool
    """Whether an entity may have several words: False for tags of a word each."""

    _distinct = field_validator("types")(distinct)

    @property
    def needs(self) -> Needs:
        """Tokens."""
        return Needs("tokens")

    @property
    def evaluation(self) -> Evaluation:
        """f1, precision and recall of entities over all types (micro), and accuracy of tags; temperature."""
        metrics = tagging_metrics(self.tags)
        return Evaluation(metrics, _temperature, self._with_tags, chosen_by="metric", limits=TEMPERATURE)

    def split_policy(self, examples: Examples) -> SplitPolicy:
        """Keep the rarest type of each text in proportion, new types after the known ones."""
        return _by_rarest((*self.types, *self._new(examples)), examples)

    def extended(self, examples: Examples, backbone: FeatureSource) -> Self:
        """New types come after the known ones. Raises DataError as `bind` and `targets`."""
        task = self.model_copy(update={"types": (*self.types, *self._new(examples))})
        task.targets(examples)
        return task

    def targets(self, examples: Examples) -> Targets:
        """{"tags": (examples,) of (words,) int64}. Raises DataError on a span that binding did not see the like of."""
        rows = []
        for row, (entities, words) in enumerate(labelled_entities(examples, self.types)):
            if not self.several_words and any(entity.stop - entity.first > 1 for entity in entities):
                where = f"{column_of(examples)}, {examples.named([row])}"
                raise DataError(f"{where}: a span of several words; in training every tag labelled its own word")
            rows.append(self.tags.encode(entities, len(words)))
        return {TAGS: as_ragged(rows)}

    def inputs(self, examples: Examples) -> Targets:
        """{"words": (examples,) of (words, 2) int64}: their places."""
        return {WORDS: as_ragged([np.array(words, np.int64).reshape(-1, 2) for words in word_places(examples)])}

    def cut(self, examples: Examples, backbone: Backbone) -> Windows | None:
        """Cut long texts into windows, each with words of its own and others around them; see `windows.py`."""
        return cut_texts(examples, backbone)

    def merged(self, prediction: Prediction, windows: Windows) -> Prediction:
        """Join the words of each text's windows, one after the other."""
        return joined_texts(prediction, windows)

    def head(self, backbone: FeatureSource) -> nn.Linear:
        """(batch, words, width) -> (batch, words, tags); weights normal with deviation 0.01, biases 0."""
        head = nn.Linear(backbone.width, len(self.tags.names))
        nn.init.normal_(head.weight, std=START_SCALE)
        nn.init.zeros_(head.bias)
        return head

    def forward(self, head: nn.Module, features: Features, inputs: Tensors) -> Tensors:
        """{"logits": (batch, words, tags), "has_token": (batch, words)}"""
        vectors, has_token = word_vectors(features, inputs[WORDS])
        return {"logits": head(vectors) * has_token[:, :, None], "has_token": has_token}

    def losses(self, outputs: Tensors, targets: Tensors) -> Tensors:
        """{"cross_entropy": scalar}, the mean over the words of the batch that have a token; 0 without any."""
        return self.losses_of(self.sums(outputs, targets))

    def sums(self, outputs: Tensors, targets: Tensors) -> Tensors:
        """{"cross_entropy": (), "words": ()}: the sum over the tagged words that have a token, and their number."""
        tags = targets[TAGS].masked_fill(~outputs["has_token"], PADDED_TARGET)
        total = nn.functional.cross_entropy(outputs["logits"].transpose(1, 2), tags, reduction="sum")
        return {"cross_entropy": total, "words": (tags != PADDED_TARGET).sum()}

    def losses_of(self, sums: Tensors) -> Tensors:
        """Return the mean over words."""
        return {"cross_entropy": sums["cross_entropy"] / sums["words"].clamp(min=1)}

    def predict(self, head: nn.Module, features: Features, inputs: Tensors) -> Prediction:
        """Columns "logits", (examples,) of (words, tags) float64, and "words" (words, 2)."""
        places = inputs[WORDS].cpu().numpy()
        logits = self.forward(head, features, inputs)["logits"].detach().double().cpu().numpy()
        real = places[:, :, 0] >= 0
        return Prediction(
            {
                "logits": as_ragged([row[kept] for row, kept in zip(logits, real)]),
                WORDS: as_ragged([row[kept] for row, kept in zip(places, real)]),
            }
        )

    def decoded(self, outputs: Tensors, calibration: Calibration) -> Tensors:
        """{"probabilities": (batch, words, tags)}, each word's own, before the best well-formed sequence is found"""
        return {"probabilities": (outputs["logits"] / calibration.get("temperature", 1.0)).softmax(dim=2)}

    @property
    def outputs(self) -> int:
        """Number of tags."""
        return len(self.tags.names)

    def from_scores(self, scores: np.ndarray, inputs: Targets) -> Prediction:
        """Take scores, (examples,) of (words, tags), as logits."""
        return Prediction({"logits": scores, WORDS: inputs[WORDS]})

    def samples(
        self, features: Features, inputs: Tensors, targets: Tensors, rows: Sequence[int], seed: int
    ) -> tuple[np.ndarray, Targets, np.ndarray]:
        """Take the vectors of all words that have a token and a tag."""
        vectors, has_token = word_vectors(features, inputs[WORDS])
        tags = targets[TAGS].to(has_token.device)
        used = has_token & (tags != PADDED_TARGET)
        positions = torch.arange(len(tags), device=tags.device)[:, None].expand_as(tags)
        words, codes, where = (values[used].cpu().numpy() for values in (vectors, tags, positions))
        return words, {TAGS: codes}, where

    def linear_model(self, targets: Targets, seed: int) -> LinearModel:
        """Return the softmax of a word's tags: every word counts alike, O or not, as the loss has it."""
        tags, rows = targets[TAGS], None
        if len(tags) > MOST_SOLVED:
            draws = np.random.default_rng(draw_seed(seed, "words"))
            rows = np.sort(draws.choice(len(tags), MOST_SOLVED, replace=False))
        used = tags if rows is None else tags[rows]
        return LinearModel("categorical", used, rows=rows, calibrate=temperature_of, samples="words")

    def margins(self, prediction: Prediction) -> np.ndarray:
        """Return the mean over the words of a text, whose tags are the answers; 1 without words."""
        best = (np.sort(np.exp(words), axis=1)[:, -2:] for words in prediction.columns["log_probabilities"])
        return np.array([np.diff(two, axis=1).mean() if len(two) else 1.0 for two in best])

    @property
    def tags(self) -> TagSet:
        """The tags of words: what the numbers of `targets` mean."""
        return TagSet(self.types, self.several_words)

    def _with_tags(self, prediction: Prediction, calibration: Calibration) -> Prediction:
        """Add columns "log_probabilities" (words, tags) and "tags" (words,): the best well-formed sequence."""
        temperature, allowed = calibration.get("temperature", 1.0), self.tags.allowed
        scores = [log_softmax(logits / temperature, axis=1) for logits in prediction.columns["logits"]]
        found = {"log_probabilities": as_ragged(scores), TAGS: as_ragged([best_tags(row, allowed) for row in scores])}
        return Prediction({**prediction.columns, **found})

    def _new(self, examples: Examples) -> tuple[str, ...]:
        given = [name for name in self.settings.types if name not in self.types]
        return (*given, *(name for name in _types(examples) if name not in (*self.types, *given)))


def _temperature(prediction: Prediction, targets: Targets) -> Calibration:
    """{"temperature": T}, T in [0.05, 20], over words; 1 on fewer than 10."""
    return {"temperature": fit_temperature(_stacked(prediction.columns["logits"]), np.concatenate([*targets[TAGS]]))}


def _types(examples: Examples) -> tuple[str, ...]:
    """The types of all spans, in natural order. Raises DataError where the data are not texts with spans."""
    require_texts(examples)
    return in_natural_order(span["label"] for spans in labelled_spans(examples) for span in spans)


def _by_rarest(types: Sequence[str], examples: Examples) -> SplitPolicy:
    """Number the types from 1; 0 is a text without entities."""
    entities_of = (entities for entities, _ in labelled_entities(examples, types))
    held = [sorted({entity.type + 1 for entity in entities}) or [0] for entities in entities_of]
    counts = Counter(kind for kinds in held for kind in kinds)
    strata = [min(kinds, key=lambda kind: (counts[kind], kind)) for kinds in held]
    return SplitPolicy(np.array(strata, np.int64), ("no entity", *types), held)


def _may_span_words(entities: Sequence[tuple[Sequence[Entity], Sequence[Place]]]) -> bool:
    """False where every tag labels its own word: no entity has two, and most words are tagged."""
    sizes = [entity.stop - entity.first for found, _ in entities for entity in found]
    return max(sizes) > 1 or 2 * len(sizes) < sum(len(words) for _, words in entities)


def _stacked(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([*rows])
