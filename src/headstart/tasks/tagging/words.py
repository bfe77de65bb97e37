"""Words of texts and where they lie in what a backbone has made of a text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from headstart.contracts.examples import Examples
from headstart.contracts.features import Features
from headstart.contracts.modality import raws_of
from headstart.kernel.errors import BackboneError
from headstart.media.words import Place, words_of

WORDS = "words"
"""Head input and column of predictions: the places of each text's words."""


def word_places(examples: Examples) -> list[list[Place]]:
    """The places of each text's words: those that come with the data, or else those that `words_of` finds."""
    if examples.schema.words is None:
        return [words_of(str(text)) for text in raws_of(examples)]
    given = examples.column(examples.schema.words)
    return [[(word["start"], word["end"]) for word in words] for words in given]


def as_ragged(entries: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays of different lengths as one column, (examples,) of objects."""
    column = np.empty(len(entries), dtype=object)
    for at, entry in enumerate(entries):
        column[at] = entry
    return column


def word_vectors(features: Features, words: Tensor) -> tuple[Tensor, Tensor]:
    """Return the vector of each word's first token (batch, words, width), and whether it has one (batch, words).

    Args:
        features: with tokens and their places.
        words: (batch, words, 2) places of the words; padding lies before the text.

    A word has no token where the tokenizer knows none of its characters, or where the text was cut before it.

    Raises:
        BackboneError: the backbone has no tokens, or does not know where they lie in the text.
    """
    if features.tokens is None or features.places is None:
        raise BackboneError(
            "the backbone does not say where its tokens lie in the text, so no words can be tagged: its tokenizer is "
            "none of the fast ones. Take another backbone."
        )
    first = first_tokens(*(values.to(features.tokens.device) for values in (words, features.places)))
    rows = torch.arange(first.shape[0], device=first.device)[:, None]
    return features.tokens[rows, first.clamp(min=0)], first >= 0


def first_tokens(words: Tensor, tokens: Tensor) -> Tensor:
    """(batch, words) int64: the first token that shares a character with each word; -1 where none does.

    Args:
        words: (batch, words, 2) places; padding lies before the text.
        tokens: (batch, length, 2) places; tokens that stand for no characters are empty.
    """
    starts, ends = tokens[:, None, :, 0], tokens[:, None, :, 1]
    shared = (starts < words[:, :, None, 1]) & (ends > words[:, :, None, 0]) & (starts < ends)
    return torch.where(shared.any(dim=2), shared.to(torch.uint8).argmax(dim=2), -1)
