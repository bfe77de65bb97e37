"""Stored views: an augmented view of every example goes through the frozen stages once, like the example itself.

View k of an example is decided by (seed, k, content of the input) alone, so that its place in the store does not depend
on the data around it, and a corrected label or another split uses it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from headstart.contracts.augmentation import moved_targets
from headstart.contracts.carriers import State
from headstart.contracts.composed_augmentation import Composed
from headstart.contracts.target_movement import Size
from headstart.contracts.targets import TargetKinds
from headstart.engine.streams import StateSource
from headstart.kernel.randomness import draw_seed


@dataclass(frozen=True)
class View:
    """One augmented view of every input, to be seen in its place."""

    augmentation: Composed
    """Bound, of parts that make views of inputs one by one."""
    seed: int
    number: int
    """Which of the views it is, from 0 on."""

    def name(self) -> dict[str, Any]:
        """Return everything that decides the view beside the inputs, as JSON values."""
        return {"seed": self.seed, "number": self.number, "augmentation": self.augmentation.describe()}

    def __call__(self, state: State, keys: Sequence[str]) -> State:
        """The view of a state at boundary 0 of examples with these content keys."""
        return self.augmentation.view(state, self.seeds(keys))

    def seeds(self, keys: Sequence[str]) -> list[int]:
        """The seed of each example, by its content key of hexadecimal digits."""
        return [draw_seed(self.seed, "stored view", self.number, int(key, 16)) for key in keys]


@dataclass(frozen=True)
class ViewStates:
    """The states that a frozen pass has made of one view."""

    view: View
    states: StateSource
    keys: Mapping[int, str]
    """Row -> content key, of all rows that have a state."""
    size: Size = ()
    """Of the inputs."""

    def __call__(self, rows: np.ndarray) -> State:
        """Of some rows."""
        return self.states(rows)

    def moved(self, targets: Mapping[str, Tensor], rows: np.ndarray, kinds: TargetKinds) -> dict[str, Tensor]:
        """Return the rows' targets, (batch, ...), as they lie over the view. Raises SettingsError."""
        seeds = self.view.seeds([self.keys[int(row)] for row in rows])
        return moved_targets(self.view.augmentation, targets, seeds, kinds, self.size)
