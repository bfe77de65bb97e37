"""Shared by the augmentations of texts: choosing the tokens that may be hidden, and hiding them.

Nothing is removed or moved, so that whatever is said about places in the text - words, tags - stays true; the tokens
that begin and end a text are left alone, and of every text something stays to be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from headstart.contracts.carriers import LENGTH_MASK, State
from headstart.contracts.inputs import InputKind, Tokens
from headstart.kernel.errors import SettingsError

How = Literal["mask", "hide"]
"""'mask': the mask token (or the unknown one) takes its place; 'hide': nothing attends to it."""


def known_tokens(name: str, how: How, inputs: InputKind | None) -> Tokens:
    """The tokens that augmentation `name` is to act on. Raises SettingsError where it cannot."""
    if not isinstance(inputs, Tokens):
        raise SettingsError(f"augmentation '{name}' hides tokens, but the backbone does not declare its tokens")
    if how == "mask" and inputs.mask is None:
        raise SettingsError(
            f"augmentation '{name}' has nothing to replace a token with: the backbone has neither a mask token nor"
            f" an unknown token. Use --set augmentation.{name}.how=hide."
        )
    return inputs


def require_bound(name: str, tokens: Tokens | None) -> Tokens:
    """Raises SettingsError where the augmentation was not told of the tokens."""
    if tokens is None:
        raise SettingsError(f"augmentation '{name}' must be bound to a backbone's inputs first: call bind")
    return tokens


def readable(state: State, special: Sequence[int]) -> list[np.ndarray]:
    """The positions of the tokens of each text that are real and not special."""
    ids, real = state.hidden.cpu().numpy(), state.context[LENGTH_MASK].cpu().numpy() != 0
    return [np.flatnonzero(row) for row in real & ~np.isin(ids, special)]


def count_of(rate: float, length: int, draws: np.random.Generator) -> int:
    """`rate` of `length` on average, rounded up or down by chance; one is always left."""
    return max(0, min(int(rate * length + draws.random()), length - 1))


def hidden_at(state: State, chosen: Sequence[np.ndarray], how: How, tokens: Tokens) -> State:
    """The texts (batch, length) with the tokens at the chosen positions of each hidden."""
    rows = torch.from_numpy(np.repeat(np.arange(len(chosen)), [len(row) for row in chosen]))
    places = torch.from_numpy(np.concatenate([np.empty(0, np.int64), *chosen]))
    if how == "mask":
        return State(_filled(state.hidden, rows, places, tokens.mask or 0), state.context, state.taps)
    mask = _filled(state.context[LENGTH_MASK], rows, places, 0)
    return State(state.hidden, {**state.context, LENGTH_MASK: mask}, state.taps)


def _filled(values: Tensor, rows: Tensor, places: Tensor, value: int) -> Tensor:
    filled = values.clone()
    filled[rows, places] = value
    return filled
