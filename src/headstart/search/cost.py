"""Cost of a training in seconds on this machine: measured on a few of its steps, corrected as it goes on.

    seconds(epochs) = start + epochs * pace * (steps * step + validation)

`start` is paid each time a training is taken up: building it, reading and writing its checkpoint. `pace` is 1 until a
real epoch has been timed, and from then on what makes the forecast equal to it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

SLOWEST, FASTEST = 4.0, 0.25
"""A correction beyond these is taken for a disturbance of the machine."""


@dataclass(frozen=True)
class Cost:
    """Seconds."""

    step: float
    """Of an optimiser step, its batch included."""
    steps: int
    """Of an epoch."""
    validation: float
    """Of a pass over the validation part."""
    start: float = 0.0
    """Each time the training is taken up."""
    pace: float = 1.0
    """Real time beside measured time."""

    @property
    def epoch(self) -> float:
        """Of an epoch with its validation."""
        return self.pace * (self.steps * self.step + self.validation)

    def seconds(self, epochs: float) -> float:
        """Of so many epochs in one go; nothing for none."""
        return self.start + epochs * self.epoch if epochs > 0 else 0.0

    def corrected(self, epochs: int, seconds: float) -> Cost:
        """The cost after `epochs` really took `seconds` in one go."""
        measured = epochs * (self.steps * self.step + self.validation)
        if not measured:
            return self
        pace = (seconds - self.start) / measured
        return replace(self, pace=min(SLOWEST, max(FASTEST, pace)))
