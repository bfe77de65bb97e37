"""SpecAugment: spans of time and of frequency are hidden from a spectrogram (Park et al. 2019).

`times` spans of up to `longest` of the clip's frames, and `bands` of up to `widest` of the bands, are set to the clip's
mean, each of a length and at a place drawn evenly. Of a waveform, which has no bands, spans of time are silenced. The
paper's time warping is left out: it helps the least there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from headstart.augmentations._sounds import SoundViews, own_mask
from headstart.contracts.carriers import State


class SpecAugment(SoundViews):
    """Spans of time and frequency hidden."""

    moves: ClassVar[bool] = False

    times: int = Field(default=2, ge=0, le=64)
    """Spans of time; 0 to 64."""
    longest: float = Field(default=0.08, gt=0, le=0.5)
    """Longest of them, as a share of the clip; in (0, 0.5]."""
    bands: int = Field(default=2, ge=0, le=64)
    """Spans of bands, where there are bands; 0 to 64."""
    widest: float = Field(default=0.2, gt=0, le=0.5)
    """Widest of them, as a share of the bands; in (0, 0.5]."""

    def view(self, state: State, seeds: Sequence[int]) -> State:
        """`state.hidden` (batch, samples) or (batch, frames, bands)."""
        sounds, hidden = self.form, state.hidden.clone()
        for clip, length, seed in zip(hidden, own_mask(state).sum(dim=1).tolist(), seeds):
            draws = np.random.default_rng(seed)
            own = clip[:length]
            nothing = own.new_zeros(()) if sounds.log is None else own.mean()
            for span in _spans(length, self.longest, self.times, draws):
                own[span] = nothing
            for span in _spans(clip.shape[-1], self.widest, self.bands, draws) if sounds.log is not None else ():
                own[:, span] = nothing
        return State(hidden, state.context, state.taps)


def _spans(length: int, most: float, number: int, draws: np.random.Generator) -> list[slice]:
    """Places of so many spans, each of up to the share `most` of the length."""
    sizes = draws.integers(0, round(most * length) + 1, number)
    starts = [int(draws.integers(0, length - size + 1)) for size in sizes]
    return [slice(start, start + int(size)) for start, size in zip(starts, sizes)]
