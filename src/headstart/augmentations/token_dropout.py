"""Token dropout: some tokens of each text are hidden, drawn anew each time (word dropout; Iyyer et al. 2015).

A share `rate` of the tokens gets the mask token in its place, or is left out of the attention. The paper takes the
words out of an average; here their places stay, so that words to tag and positions are what they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
from pydantic import Field

from headstart.augmentations._hidden_tokens import How, count_of, hidden_at, known_tokens, readable, require_bound
from headstart.contracts.augmentation import InputViews
from headstart.contracts.carriers import State
from headstart.contracts.inputs import InputKind, Tokens


class TokenDropout(InputViews):
    """Single tokens hidden."""

    modalities: ClassVar[tuple[str, ...]] = ("text",)
    moves: ClassVar[bool] = False

    rate: float = Field(default=0.1, gt=0, lt=1)
    """Share of a text's tokens that are hidden; in (0, 1)."""
    how: How = "mask"
    """'mask' puts the mask token (without one the unknown token) in a token's place, 'hide' takes it from attention."""
    tokens: Tokens | None = None
    """The mask token and the special ones; the backbone says them."""

    def bind(self, inputs: InputKind | None, examples: int) -> Self:  # noqa: ARG002
        """Learn the tokens. Raises SettingsError where there are none, or no mask."""
        return self.model_copy(update={"tokens": known_tokens("token_dropout", self.how, inputs)})

    def view(self, state: State, seeds: Sequence[int]) -> State:
        """`state.hidden` (batch, length) token numbers. Raises SettingsError when it was not bound."""
        tokens = require_bound("token_dropout", self.tokens)
        chosen = [self._chosen(places, seed) for places, seed in zip(readable(state, tokens.special), seeds)]
        return hidden_at(state, chosen, self.how, tokens)

    def _chosen(self, places: np.ndarray, seed: int) -> np.ndarray:
        draws = np.random.default_rng(seed)
        count = count_of(self.rate, len(places), draws)
        return draws.permutation(places)[:count]
