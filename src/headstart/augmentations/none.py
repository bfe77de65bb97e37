"""No augmentation: every epoch sees the inputs as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from headstart.contracts.augmentation import InputViews
from headstart.contracts.carriers import State


class NoAugmentation(InputViews):
    """The inputs as they are."""

    modalities: ClassVar[tuple[str, ...]] = ()
    moves: ClassVar[bool] = False

    def first_stage(self, stages: int) -> int:
        """Nothing changes."""
        return stages

    def view(self, state: State, seeds: Sequence[int]) -> State:  # noqa: ARG002
        """The same state."""
        return state
