"""A frozen pass that runs much slower than was measured before it, as where other programs have taken the cores since.

The speed is that of the last few batches, in seconds for each position, so that long texts compare with short ones.
"""

from __future__ import annotations

import statistics
from collections import deque

from headstart.contracts.carriers import LENGTH_MASK, State

TOO_SLOW = 2.0
"""A pass is slow where it takes more than so many times what was promised."""

BATCHES = 6
"""The median of so many counts: one that waited for a core does not make a pass slow."""

LEAST_LEFT = 10.0
"""Seconds that a slow pass must still take for another measurement to pay."""


class SlowPass(Exception):
    """Ends a pass that is to be measured again; what it has computed is stored."""

    def __init__(self, seconds_each: float, left: int) -> None:
        """`seconds_each` is what a position takes now, `left` the inputs that are not computed."""
        super().__init__(f"{left} inputs are left")
        self.seconds_each, self.left = seconds_each, left


class Promise:
    """The speed that a pass should have."""

    def __init__(self, seconds_each: float) -> None:
        """Seconds for each position; 0 where nothing is promised."""
        self._seconds_each = seconds_each
        self._last: deque[float] = deque(maxlen=BATCHES)

    def check(self, state: State, seconds: float, left: int) -> None:
        """Take note of a batch that took its share of the device's time, `left` inputs before the end.

        Raises:
            SlowPass: it and those before it are too slow, and there is enough left.
        """
        self._last.append(seconds / positions(state))
        typical = statistics.median(self._last)
        slow = 0 < TOO_SLOW * self._seconds_each < typical and len(self._last) == BATCHES
        if slow and left * positions(state) / len(state.hidden) * typical > LEAST_LEFT:
            raise SlowPass(typical, left)


def positions(state: State) -> int:
    """Return the inputs of a batch times their padded length, 1 for those without a length."""
    length = state.hidden.shape[1] if LENGTH_MASK in state.context else 1
    return max(1, len(state.hidden) * length)
