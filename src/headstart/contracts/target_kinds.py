"""The house's kinds of targets without a place in a picture: numbers of an example or of its words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from headstart.contracts.targets import Deferred, collated


@dataclass(frozen=True)
class Numbers:
    """Numbers of one type and number of axes, with no place in the input; the house's kinds build on it."""

    title: str
    whole: bool
    """Whether the numbers are whole."""
    axes: tuple[int, ...]
    """Allowed numbers of axes of a batch."""
    additive: bool = False

    def collated(self, values: np.ndarray) -> Tensor:
        """Return the batch (batch, ...). Raises TypeError on numbers of another type or shape."""
        found = collated(values)
        if found.is_floating_point() == self.whole or found.ndim not in self.axes:
            numbers = "whole numbers" if self.whole else "floats"
            raise TypeError(
                f"{self.title} of a batch must be {numbers} with {' or '.join(map(str, self.axes))} axes, received"
                f" {found.dtype} {tuple(found.shape)}"
            )
        return found

    def identity(self, values: np.ndarray) -> list[Any]:
        """Return the numbers (examples, ...) as they are, deferred ones by their keys."""
        return [_content(value) for value in values.tolist()]


@dataclass(frozen=True)
class Unplaced(Numbers):
    """Numbers that hold for the whole input: they stay as they are when its parts move."""

    placed: ClassVar[bool] = False

    def movable(self, augmentation: object) -> bool:  # noqa: ARG002
        """Any."""
        return True

    def moved(self, values: Tensor, augmentation: Any, seeds: Sequence[int], size: Sequence[int]) -> Tensor:  # noqa: ARG002
        """Return the same numbers (batch, ...)."""
        return values


@dataclass(frozen=True)
class OfWhole(Unplaced):
    """Numbers that say what is in the whole input, and not what is left of one that has lost an end."""

    def movable(self, augmentation: object) -> bool:
        """Return whether the augmentation leaves all of an input there: whether it has no true `cuts`."""
        return not getattr(augmentation, "cuts", False)


CLASS_IDS = Unplaced("class ids", whole=True, axes=(1,), additive=True)
"""One class of each example: (batch,) whole numbers."""

VALUES = Unplaced("values", whole=False, axes=(1, 2), additive=True)
"""Quantities of each example: (batch,) or (batch, quantities) floats."""

LABEL_SETS = Unplaced("label sets", whole=False, axes=(2,), additive=True)
"""Any number of labels of each example: (batch, labels) floats, 1 where a label holds."""

TOKEN_IDS = OfWhole("token ids", whole=True, axes=(2,))
"""What is written for the whole input, token by token: (batch, tokens) whole numbers; an input may have none."""

TAG_SEQUENCES = Numbers("tag sequences", whole=True, axes=(2,))
"""A tag for each word or frame of the input, spans among them: (batch, words) whole numbers."""


def _content(target: Any) -> Any:
    """A target as a JSON value."""
    if isinstance(target, np.ndarray):
        return target.tolist()
    return target.key if isinstance(target, Deferred) else target
