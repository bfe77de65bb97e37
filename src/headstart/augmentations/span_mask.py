"""Span masking: runs of tokens are hidden, as SpanBERT does in pretraining (Joshi et al. 2020).

Runs of geometric length, P(length = n) = p (1 - p)^(n - 1) up to a longest, start anywhere until a share `rate` of the
text is hidden. Nothing is predicted of them: the label must be found in the rest.
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


class SpanMask(InputViews):
    """Runs of tokens hidden."""

    modalities: ClassVar[tuple[str, ...]] = ("text",)
    moves: ClassVar[bool] = False

    rate: float = Field(default=0.15, gt=0, le=0.5)
    """Share of a text's tokens that are hidden; in (0, 0.5]."""
    stop: float = Field(default=0.2, gt=0, le=1)
    """Chance that a run ends with each token: runs have 1 / stop tokens on average; in (0, 1]."""
    longest: int = Field(default=10, ge=1)
    """Tokens of a run at most; >= 1."""
    how: How = "mask"
    """'mask' puts the mask token (without one the unknown token) in a token's place, 'hide' takes it from attention."""
    tokens: Tokens | None = None
    """The mask token and the special ones; the backbone says them."""

    def bind(self, inputs: InputKind | None, examples: int) -> Self:  # noqa: ARG002
        """Learn the tokens. Raises SettingsError where there are none, or no mask."""
        return self.model_copy(update={"tokens": known_tokens("span_mask", self.how, inputs)})

    def view(self, state: State, seeds: Sequence[int]) -> State:
        """`state.hidden` (batch, length) token numbers. Raises SettingsError when it was not bound."""
        tokens = require_bound("span_mask", self.tokens)
        chosen = [places[self._runs(len(places), seed)] for places, seed in zip(readable(state, tokens.special), seeds)]
        return hidden_at(state, chosen, self.how, tokens)

    def _runs(self, length: int, seed: int) -> np.ndarray:
        """(length,) which of so many tokens are hidden."""
        draws = np.random.default_rng(seed)
        covered, wanted = np.zeros(length, bool), count_of(self.rate, length, draws)
        while (left := wanted - int(covered.sum())) > 0:
            run = min(int(draws.geometric(self.stop)), self.longest, left)
            start = int(draws.integers(length - run + 1))
            covered[start : start + run] = True
        return covered
