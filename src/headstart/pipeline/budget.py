"""The time that a user allows: from where data and backbone are there to the final model, whatever lies in between."""

from __future__ import annotations

import math
import time
from collections.abc import Callable


class TimeBudget:
    """Seconds that are used up from its making on."""

    def __init__(self, seconds: float | None, now: Callable[[], float] = time.monotonic) -> None:
        """So many seconds from now on; None is no limit."""
        self.seconds = seconds
        self.earlier = 0.0
        """What an interrupted session of the same run had used."""
        self._now = now
        self._began = now()

    def used(self) -> float:
        """Seconds so far, those of an interrupted session included."""
        return self.earlier + self._now() - self._began

    def left(self) -> float:
        """Seconds that remain, infinity without a limit; never negative."""
        return math.inf if self.seconds is None else max(0.0, self.seconds - self.used())

    def share(self, of_rest: float) -> float | None:
        """A share of what remains; None without a limit."""
        return None if self.seconds is None else of_rest * self.left()
