"""Time of a run: what each step took, and what the user allows from where data and backbone are there on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Budget:
    """The clock of a run; its limit holds from `begin` to the final model, whatever lies in between."""

    def __init__(self, seconds: float | None = None, now: Callable[[], float] = time.monotonic) -> None:
        """Allow so many seconds; None for no limit."""
        self.seconds = seconds
        self.steps: dict[str, float] = {}
        """Step -> seconds it took, in order."""
        self.allowed: dict[str, float] = {}
        """Step -> seconds it was allowed, where it had a limit of its own."""
        self.earlier = 0.0
        """Seconds that an interrupted session of the same run used."""
        self._now = now
        self._began = now()

    def begin(self) -> None:
        """Count the seconds used from now on."""
        self._began = self._now()

    def used(self) -> float:
        """Seconds so far, those of an interrupted session included."""
        return self.earlier + self._now() - self._began

    def left(self) -> float:
        """Seconds that remain, infinity without a limit; never negative."""
        return math.inf if self.seconds is None else max(0.0, self.seconds - self.used())

    @contextmanager
    def step(self, name: str, allowed: float | None = None) -> Iterator[None]:
        """Count the time of the block under `name`, also when it fails; `allowed` is the limit it was given."""
        if allowed is not None and math.isfinite(allowed):
            self.allowed[name] = allowed
        started = time.monotonic()
        try:
            yield
        finally:
            self.steps[name] = self.steps.get(name, 0.0) + time.monotonic() - started
