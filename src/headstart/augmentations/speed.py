"""Speed: each clip is played faster or slower (Ko et al. 2015, "Audio augmentation for speech recognition").

The clip is read at other places, f of them apart, with f uniform in [least, most], and linearly interpolated between
its samples or frames. A waveform then has another pitch as well; the frames of a spectrogram are stretched in time
alone. A faster clip is shorter. A slower one keeps its length and loses its end, so that with `least` below 1 targets
that are written for the whole clip are refused. The paper has 0.9, 1 and 1.1, and longer clips.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field, model_validator
from torch import Tensor

from headstart.augmentations._draws import uniform
from headstart.augmentations._sounds import SoundViews, in_order, own_mask, silence
from headstart.contracts.carriers import LENGTH_MASK, State
from headstart.contracts.inputs import SPOKEN


class Speed(SoundViews):
    """Faster or slower."""

    least: float = Field(default=0.9, gt=0.25, le=4)
    """Slowest speed; in (0.25, 4]."""
    most: float = Field(default=1.1, gt=0.25, le=4)
    """Fastest speed; in (0.25, 4]; not below `least`."""

    _in_order = model_validator(mode="after")(in_order)

    @property
    def cuts(self) -> bool:
        """Return whether a clip may lose its end."""
        return self.least < 1

    def view(self, state: State, seeds: Sequence[int]) -> State:
        """`state.hidden` (batch, samples) or (batch, frames, bands); masks say how long clips are then."""
        sounds, hidden, mask = self.form, state.hidden.clone(), own_mask(state).clone()
        factors = (self.least + (self.most - self.least) * uniform(seeds, 1)[:, 0]).tolist()
        for clip, real, length, factor in zip(hidden, mask, mask.sum(dim=1).tolist(), factors):
            own = clip[:length].clone()
            played = _read_at(own, factor)
            clip[:length] = silence(own, sounds)
            clip[: len(played)] = played
            real[len(played) :] = 0
        name = SPOKEN if SPOKEN in state.context else LENGTH_MASK
        return State(hidden, {**state.context, name: mask}, state.taps)


def _read_at(clip: Tensor, factor: float) -> Tensor:
    """A clip (length, ...) read every `factor` entries, at most as long as it is."""
    count = max(1, min(len(clip), round(len(clip) / factor)))
    places = (torch.arange(count, device=clip.device, dtype=torch.float64) * factor).clamp(max=len(clip) - 1)
    before = places.floor().long()
    after = (before + 1).clamp(max=len(clip) - 1)
    share = (places - before).to(clip.dtype).reshape(-1, *[1] * (clip.ndim - 1))
    return clip[before] * (1 - share) + clip[after] * share
