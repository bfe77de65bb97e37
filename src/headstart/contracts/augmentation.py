"""Augmentation: random views of prepared inputs, made in batches; each a pure function of the example's own seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from torch import Tensor

from headstart.contracts.carriers import State


class Augmentation(Protocol):
    """What a file in `augmentations/` offers."""

    modalities: ClassVar[tuple[str, ...]]
    """The kinds of input it can change."""

    def first_stage(self, stages: int) -> int:
        """0 when inputs change, so that no prefix can be stored; `stages` when nothing does."""
        ...

    def view(self, state: State, seeds: Sequence[int]) -> State:
        """A random view of the state at boundary 0; `seeds` has one entry per example and decides everything."""
        ...

    def move(self, maps: Tensor, seeds: Sequence[int]) -> Tensor:
        """Class maps (batch, height, width) of whole numbers, moved as `view` moves the pictures below them."""
        ...
