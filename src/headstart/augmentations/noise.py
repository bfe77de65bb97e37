"""Noise: white noise is added to each clip, at a random distance below the clip's own power.

With s uniform in [least, most] decibels the noise has 10^(-s / 10) of the mean power of the clip. It is normal in the
samples of a waveform. In a spectrogram it is added to the powers of the bands, which are of unit area, each time with
an exponential draw, as the periodogram of noise is distributed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from headstart.augmentations._sounds import SoundViews, in_order, own_mask
from headstart.contracts.carriers import State
from headstart.contracts.inputs import Sounds


class Noise(SoundViews):
    """White noise added."""

    moves: ClassVar[bool] = False

    least: float = Field(default=10.0, ge=-20, le=100)
    """Smallest ratio of the clip's power to that of the noise, in decibels."""
    most: float = Field(default=40.0, ge=-20, le=100)
    """Largest such ratio, in decibels; not below `least`."""

    _in_order = model_validator(mode="after")(in_order)

    def view(self, state: State, seeds: Sequence[int]) -> State:
        """`state.hidden` (batch, samples) or (batch, frames, bands)."""
        sounds, hidden = self.form, state.hidden.clone()
        for clip, length, seed in zip(hidden, own_mask(state).sum(dim=1).tolist(), seeds):
            draws = np.random.default_rng(seed)
            share = 10 ** (-draws.uniform(self.least, self.most) / 10)
            clip[:length] = self._noisy(clip[:length], share, draws, sounds)
        return State(hidden, state.context, state.taps)

    def _noisy(self, clip: Tensor, share: float, draws: np.random.Generator, sounds: Sounds) -> Tensor:
        if sounds.log is None:
            noise = torch.from_numpy(draws.standard_normal(tuple(clip.shape), np.float32)).to(clip)
            return clip + noise * (share * clip.square().mean()).sqrt()
        power = (clip.double() / sounds.log).exp()
        noise = torch.from_numpy(draws.standard_exponential(tuple(clip.shape))).to(power)
        return (sounds.log * (power + share * power.mean() * noise).log()).to(clip.dtype)
