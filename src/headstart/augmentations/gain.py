"""Gain: each clip is louder or softer, as if the microphone stood nearer or farther.

With d uniform in [-most, most] decibels a waveform is multiplied by 10^(d / 20), and the logarithms of a spectrogram's
powers rise by d ln(10) / 10.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Self

from pydantic import Field

from headstart.augmentations._draws import uniform
from headstart.augmentations._sounds import known_sounds, own_mask, require_bound
from headstart.contracts.augmentation import InputViews
from headstart.contracts.carriers import State
from headstart.contracts.inputs import InputKind, Sounds


class Gain(InputViews):
    """Other loudness."""

    modalities: ClassVar[tuple[str, ...]] = ("audio",)
    moves: ClassVar[bool] = False

    most: float = Field(default=6.0, gt=0, le=60)
    """Largest change, in decibels; in (0, 60]."""
    sounds: Sounds | None = None
    """The form of the sounds; the backbone says it."""

    def bind(self, inputs: InputKind | None, examples: int) -> Self:  # noqa: ARG002
        """Learn the form. Raises SettingsError where the backbone begins with no sounds."""
        return self.model_copy(update={"sounds": known_sounds("gain", inputs)})

    def view(self, state: State, seeds: Sequence[int]) -> State:
        """`state.hidden` (batch, samples) or (batch, frames, bands)."""
        sounds, hidden = require_bound("gain", self.sounds), state.hidden
        decibels = hidden.new_tensor(self.most * (2 * uniform(seeds, 1) - 1))
        if sounds.log is None:
            return State(hidden * 10 ** (decibels / 20), state.context, state.taps)
        risen = sounds.log * math.log(10) / 10 * decibels * own_mask(state).to(hidden.dtype)
        return State(hidden + risen.unsqueeze(-1), state.context, state.taps)
