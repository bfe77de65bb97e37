"""No augmentation: every epoch sees the inputs as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from headstart.contracts.carriers import State
from headstart.kernel.settings import Settings


class NoAugmentation(Settings):
    """The inputs as they are."""

    modalities: ClassVar[tuple[str, ...]] = ("image", "text", "table")

    def first_stage(self, stages: int) -> int:
        """Nothing changes."""
        return stages

    def view(self, state: State, seeds: Sequence[int]) -> State:  # noqa: ARG002
        """The same state."""
        return state

    def move(self, maps: Tensor, seeds: Sequence[int]) -> Tensor:  # noqa: ARG002
        """The same maps."""
        return maps
