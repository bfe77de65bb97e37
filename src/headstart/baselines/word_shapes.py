"""Word shapes: each word is tagged by a linear model on itself and two words to either side of it.

A word shows itself in lower case, its first and last 2 to 4 characters, and its shape: 'Xx' for capitalised words, 'd'
for digits. Such windows were the usual features of named-entity taggers before neural ones (Ratinov and Roth 2009).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np
from scipy import sparse
from sklearn.feature_extraction import FeatureHasher

from headstart.baselines._linear import fit_linear
from headstart.baselines._scores import TARGET
from headstart.contracts.baseline import Baseline, Labelled, Scores
from headstart.contracts.examples import Examples
from headstart.contracts.modality import HasTexts, Modality, raws_of
from headstart.contracts.target_kinds import TAG_SEQUENCES
from headstart.contracts.targets import PADDED_TARGET
from headstart.contracts.task import BoundTask, Targets

WINDOW = (-2, -1, 1, 2)
"""Neighbours of a word, by their distance."""
NOTHING = "\0"
"""The neighbour beyond either end of a text."""


class WordShapes(Baseline):
    """Linear model on words, their shapes and their neighbours."""

    title: ClassVar[str] = "a linear model on word shapes"
    strengths: ClassVar[Sequence[float]] = (1.0, 10.0)

    @classmethod
    def suits(cls, modality: Modality, task: BoundTask) -> bool:
        """Texts with a tag for each word."""
        kinds = list(task.target_kinds.values())
        return isinstance(modality, HasTexts) and kinds == [TAG_SEQUENCES]

    def fit(self, data: Labelled, strengths: Sequence[float], seed: int) -> Mapping[float, Scores]:
        """Learn from all words at once."""
        (tags,) = data.targets.values()
        truth = np.concatenate([*tags]).astype(np.int64)
        known = truth != PADDED_TARGET
        words = Labelled(data.examples, {TARGET: truth[known]}, {}, data.outputs)
        features = _features(data.examples, data.inputs)[known]
        return {strength: _by_text(fit_linear(features, words, strength, seed)) for strength in strengths}


def _by_text(model: Callable[[sparse.csr_matrix], np.ndarray]) -> Scores:
    def scores(examples: Examples, inputs: Targets) -> np.ndarray:
        (places,) = inputs.values()
        ends = np.cumsum([len(words) for words in places])
        found = np.empty(len(places), dtype=object)
        found[:] = np.split(model(_features(examples, inputs)), ends[:-1]) if len(places) else []
        return found

    return scores


def _features(examples: Examples, inputs: Targets) -> sparse.csr_matrix:
    """(words of all texts, hashes)"""
    (places,) = inputs.values()
    texts = (
        [text[start:end] for start, end in words] for text, words in zip(map(str, raws_of(examples)), places.tolist())
    )
    return FeatureHasher(2**18, input_type="string").transform(seen for words in texts for seen in _in_windows(words))


def _in_windows(words: Sequence[str]) -> Iterator[list[str]]:
    own = [_of_word(word) for word in words]
    for at, word in enumerate(words):
        seen = [f"{distance}{feature}" for distance in WINDOW for feature in _neighbour(own, at + distance)]
        near = f"{words[at - 1].lower() if at else NOTHING} {word.lower()}"
        yield [*own[at], *seen, f"pair {near}", "first" if at == 0 else "later"]


def _neighbour(own: Sequence[Sequence[str]], at: int) -> Sequence[str]:
    return own[at][:2] if 0 <= at < len(own) else (NOTHING,)


def _of_word(word: str) -> list[str]:
    lower = word.lower()
    shape = re.sub(r"(.)\1+", r"\1", "".join(map(_shape, word[:20])))
    ends = [f"{side}{part}" for n in (2, 3, 4) for side, part in (("<", lower[:n]), (">", lower[-n:]))]
    return [f"word {lower}", f"shape {shape}", *ends]


def _shape(character: str) -> str:
    if character.isdigit():
        return "d"
    return "X" if character.isupper() else "x" if character.isalpha() else character
