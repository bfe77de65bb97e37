"""The contract of kinds of targets: how each is collated, identified, and moved with its input.

A task names the kind of each target in `target_kinds`; a package outside brings its own by satisfying `TargetKind`. A
kind that stays right when an augmentation moves the input `Follows` it, by what the augmentation offers: the movement
of maps or of points. Any other kind is refused under such an augmentation before anything runs.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from headstart.kernel.errors import SettingsError

PADDED_TARGET = -100
"""Fills up ragged whole-number targets: what torch's losses leave out by default (`ignore_index`)."""

Size = Sequence[int]
"""Height and width in pixels of the pictures at boundary 0; empty for other inputs."""


class Deferred(ABC):
    """A target too large to lie in memory for every example: it is loaded when a batch is made."""

    @abstractmethod
    def load(self) -> np.ndarray:
        """The target (...), of one shape and type for all examples. Raises DataError when it can no longer be read."""

    @property
    @abstractmethod
    def key(self) -> str:
        """Names the content: another content has another key."""


class TargetKind(Protocol):
    """A kind of target. `Follows` and `Pastes` are what a kind can do besides."""

    @property
    def title(self) -> str:
        """Its name in messages, in the plural: 'class ids'."""
        ...

    @property
    def additive(self) -> bool:
        """Return whether the loss of a blend of two inputs is the sum of both targets' losses, weighted by shares."""
        ...

    def collated(self, values: np.ndarray) -> Tensor:
        """Return the targets of a batch (batch, ...), padded to one shape. Raises TypeError on another kind's."""
        ...

    def identity(self, values: np.ndarray) -> list[Any]:
        """Return a JSON value for each target (examples, ...), which changes with its content."""
        ...


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
class Counts(Protocol):
    """A kind whose entries may leave the input, which a batch then says in `left_out`."""

    def count(self, values: Tensor) -> int:
        """Return how many entries targets (batch, ...) have."""
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


TargetKinds = Mapping[str, TargetKind]
"""Target name -> its kind."""


def kind_of(name: str, kinds: TargetKinds) -> TargetKind:
    """Return the kind of a target. Raises SettingsError where the task does not say."""
    if name not in kinds:
        raise SettingsError(f"the task does not say of what kind its target '{name}' is. Name it in `target_kinds`.")
    return kinds[name]


def has_place(kind: TargetKind) -> bool:
    """Return whether predictions of such targets move with the input; of an unknown kind they may."""
    return not isinstance(kind, Follows) or kind.placed


def collated(values: np.ndarray) -> Tensor:
    """Return one value per example as a tensor (batch, ...): deferred ones loaded, ragged ones padded on the right.

    Whole numbers are padded with `PADDED_TARGET`, others with NaN.
    """
    if values.dtype != object:
        return torch.from_numpy(np.asarray(values))
    if isinstance(values[0], Deferred):
        return torch.from_numpy(np.stack([value.load() for value in values]))
    entries = [torch.from_numpy(np.asarray(value)) for value in values]
    padding = math.nan if entries[0].is_floating_point() else PADDED_TARGET
    return torch.nn.utils.rnn.pad_sequence(entries, batch_first=True, padding_value=padding)
