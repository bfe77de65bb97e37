"""A batch in pieces, and pieces as a batch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from operator import itemgetter

import torch

from headstart.contracts.carriers import State


def in_pieces(state: State, count: int) -> list[State]:
    """So many states of about equally many rows, fewer where there are fewer rows."""
    bounds = [len(state.hidden) * number // count for number in range(count + 1)]
    return [state.map(itemgetter(slice(*pair))) for pair in pairwise(bounds) if pair[0] < pair[1]]


def joined(parts: Sequence[State]) -> State:
    """The rows of all parts, one after the other."""
    if len(parts) == 1:
        return parts[0]
    tensors = [part.tensors() for part in parts]
    return State.of({name: torch.cat([some[name] for some in tensors]) for name in tensors[0]})
