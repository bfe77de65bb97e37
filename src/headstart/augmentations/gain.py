"""Gain: each clip is louder or softer, as if the microphone stood nearer or farther.

With d uniform in [-most, most] decibels a waveform is multiplied by 10^(d / 20), and the logarithms of a spectrogram's
powers rise by d ln(10) / 10.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from headstart.augmentations._draws import uniform
from headstart.augmentations._sounds import SoundViews, own_mask
from headstart.contracts.carriers import State


class Gain(SoundViews):
    """Other loudness."""

    moves: ClassVar[bool] = False

    most: float = Field(default=6.0, gt=0, le=60)
    """Largest change, in decibels; in (0, 60]."""

    def view(self, state: State, seeds: Sequence[int]) -> State:
        """`state.hidden` (batch, samples) or (batch, frames, bands)."""
        sounds, hidden = self.form, state.hidden
        decibels = hidden.new_tensor(self.most * (2 * uniform(seeds, 1) - 1))
        if sounds.log is None:
            return State(hidden * 10 ** (decibels / 20), state.context, state.taps)
        risen = sounds.log * math.log(10) / 10 * decibels * own_mask(state).to(hidden.dtype)
        return State(hidden + risen.unsqueeze(-1), state.context, state.taps)
