"""Noise: white noise is added to each clip, at a random distance below the clip's own power.

With s uniform in [least, most] decibels the noise has 10^(-s / 10) of the mean power of the clip. It is normal in the
samples of a waveform. In a spectrogram it is added to the powers of the bands, which are of unit area, each time with
an exponential draw, as the periodogram of noise is distributed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from headstart.augmentations._sounds import known_sounds, own_mask, require_bound
from headstart.contracts.augmentation import InputViews
from headstart.contracts.carriers import State
from headstart.contracts.inputs import InputKind, Sounds


class Noise(InputViews):
    """White noise added."""

    modalities: ClassVar[tuple[str, ...]] = ("audio",)
    moves: ClassVar[bool] = False

    least: float = Field(default=10.0, ge=-20, le=100)
    """Smallest ratio of the clip's power to that of the noise, in decibels."""
    most: float = Field(default=40.0, ge=-20, le=100)
    """Largest such ratio, in decibels; not below `least`."""
    sounds: Sounds | None = None
    """The form of the sounds; the backbone says it."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.least > self.most:
            raise ValueError(f"least = {self.least:g} is more than most = {self.most:g}")
        return self

    def bind(self, inputs: InputKind | None, examples: int) -> Self:  # noqa: ARG002
        """Learn the form. Raises SettingsError where the backbone begins with no sounds."""
        return self.model_copy(update={"sounds": known_sounds("noise", inputs)})

    def view(self, state: State, seeds: Sequence[int]) -> State:
        """`state.hidden` (batch, samples) or (batch, frames, bands)."""
        sounds, hidden = require_bound("noise", self.sounds), state.hidden.clone()
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
