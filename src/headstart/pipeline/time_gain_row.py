"""Row of a record: the transfer gain in time."""

from __future__ import annotations

from headstart.kernel.settings import Settings
from headstart.pipeline.figure_rows import Number


class TimeGain(Settings):
    """Time that training from scratch needs for the model's figure, beside the model's own."""

    seconds: Number
    """Of the model."""
    scratch_seconds: Number | None
    """None where it did not get there."""
    times: Number
    """As a multiple of the model's; a lower bound where it did not get there."""
    sentence: str
