"""The contract of kinds of targets: how each is collated and identified.

A task names the kind of each target in `target_kinds`; a package outside brings its own by satisfying `TargetKind`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

PADDED_TARGET = -100
"""Fills up ragged whole-number targets: what torch's losses leave out by default (`ignore_index`)."""

WEIGHT = "weight"
"""The target beside a task's own that says how much each example counts: (examples,) floats, 0 or more."""


class Deferred(ABC):
    """A target too large to lie in memory for every example: it is loaded when a batch is made."""

    @abstractmethod
    def load(self) -> np.ndarray:
        """The target (...), of one shape and type for all examples. Raises DataError when it can no longer be read."""

    @property
    @abstractmethod
    def key(self) -> str:
        """Names the content: another content has another key."""


@runtime_checkable
class TargetKind(Protocol):
    """A kind of target. Movement with its input is in `target_movement.py`."""

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


TargetKinds = Mapping[str, TargetKind]
"""Target name -> its kind."""


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
