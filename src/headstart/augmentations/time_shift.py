"""Time shift: each clip begins a little earlier or later; silence takes the place of what has moved away.

What moves over an end of the clip is lost, so that words that are said there would be learnt from sounds without them:
targets that are written for the whole clip are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from headstart.augmentations._draws import uniform
from headstart.augmentations._sounds import SoundViews, own_mask, silence
from headstart.contracts.carriers import State


class TimeShift(SoundViews):
    """Earlier or later."""

    cuts: ClassVar[bool] = True

    most: float = Field(default=0.1, gt=0)
    """Largest shift, in seconds, and at most half of the clip; > 0."""

    def view(self, state: State, seeds: Sequence[int]) -> State:
        """`state.hidden` (batch, samples) or (batch, frames, bands)."""
        sounds, hidden = self.form, state.hidden.clone()
        shares = (2 * uniform(seeds, 1)[:, 0] - 1).tolist()
        for clip, length, share in zip(hidden, own_mask(state).sum(dim=1).tolist(), shares):
            by = round(share * min(self.most * sounds.rate, length / 2))
            own = clip[:length].clone()
            clip[:length] = silence(own, sounds)
            clip[max(by, 0) : length + min(by, 0)] = own[max(-by, 0) : length - max(by, 0)]
        return State(hidden, state.context, state.taps)
