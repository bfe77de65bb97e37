"""Texts as targets: what a person wrote for an input, and the same as token ids of the model that learns to write it.

The text is what predictions are judged by, the token ids are what is learnt: a tokenizer may lose what the text has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from headstart.contracts.target_kinds import TOKEN_IDS, OfWhole


class Written(NamedTuple):
    """A text to write."""

    text: str
    tokens: np.ndarray
    """(tokens,) int64, with whatever the model ends a text by."""


@dataclass(frozen=True)
class Texts(OfWhole):
    """Texts, whose token ids are collated to a batch (batch, tokens) of whole numbers."""

    def collated(self, values: np.ndarray) -> Tensor:
        """Return the token ids of a batch, padded on the right. Raises TypeError on what is no `Written`."""
        if not all(isinstance(value, Written) for value in values):
            raise TypeError(f"{self.title} of a batch must be Written, received {type(values[0]).__name__}")
        return TOKEN_IDS.collated(token_column(values))

    def identity(self, values: np.ndarray) -> list[Any]:
        """Return text and token ids of each target."""
        return [[value.text, value.tokens.tolist()] for value in values]


TEXTS = Texts("texts", whole=True, axes=(2,))
"""A text of each example: (batch, tokens) whole numbers."""


def written(texts: Sequence[str], tokens: Sequence[np.ndarray]) -> np.ndarray:
    """Return the target (examples,) of texts and their token ids."""
    return _column([Written(*pair) for pair in zip(texts, tokens, strict=True)])


def token_column(values: Sequence[Written] | np.ndarray) -> np.ndarray:
    """Return the token ids alone, (examples,) of (tokens,)."""
    return _column([value.tokens for value in values])


def texts_of(values: Sequence[Written] | np.ndarray) -> list[str]:
    """Return the texts alone."""
    return [value.text for value in values]


def _column(entries: Sequence[Any]) -> np.ndarray:
    column = np.empty(len(entries), dtype=object)
    for at, entry in enumerate(entries):
        column[at] = entry
    return column
