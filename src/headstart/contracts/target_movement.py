"""Movement of targets with their input, under augmentations that move it.

A kind that stays right when an augmentation moves the input `Follows` it, by what the augmentation offers: the movement
of maps or of points. Any other kind is refused under such an augmentation before anything runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from headstart.contracts.target_kinds import VALUES
from headstart.contracts.targets import WEIGHT, TargetKind, TargetKinds
from headstart.kernel.errors import SettingsError

Size = Sequence[int]
"""Height and width in pixels of the pictures at boundary 0; empty for other inputs."""


@runtime_checkable
class Follows(Protocol):
    """A kind that stays right when an augmentation moves the input."""

    @property
    def placed(self) -> bool:
        """Return whether the target has a place in the input."""
        ...

    def movable(self, augmentation: object) -> bool:
        """Return whether the augmentation offers what the kind is moved by."""
        ...

    def moved(self, values: Tensor, augmentation: Any, seeds: Sequence[int], size: Size) -> Tensor:
        """Return the targets (batch, ...) over the moved inputs, which had this size."""
        ...


@runtime_checkable
class Pastes(Protocol):
    """A kind that is exact where a box of another picture is pasted into one."""

    def pasted(self, values: Tensor, others: Tensor, box: tuple[slice, slice]) -> Tensor:
        """Return the targets (batch, ...) with rows and columns of the box from `others`."""
        ...


@runtime_checkable
class MovesMaps(Protocol):
    """An augmentation that can move class maps."""

    def move_maps(self, maps: Tensor, seeds: Sequence[int]) -> Tensor:
        """Return maps (batch, height, width) of whole numbers, moved as `view` moves the pictures below them."""
        ...


@runtime_checkable
class MovesPoints(Protocol):
    """An augmentation that can move points."""

    one_to_one: bool
    """Whether each point goes to one place; false where a warp may fold."""

    def move_points(self, points: Tensor, seeds: Sequence[int], size: Size) -> Tensor:
        """Return where points (batch, points, 2) go, across and down in pixels from the top left corner; NaN stays."""
        ...


def kind_of(name: str, kinds: TargetKinds) -> TargetKind:
    """Return the kind of a target. Raises SettingsError where the task does not say."""
    if name == WEIGHT:
        return VALUES
    if name not in kinds:
        raise SettingsError(f"the task does not say of what kind its target '{name}' is. Name it in `target_kinds`.")
    return kinds[name]


def has_place(kind: TargetKind) -> bool:
    """Return whether predictions of such targets move with the input; of an unknown kind they may."""
    return not isinstance(kind, Follows) or kind.placed
