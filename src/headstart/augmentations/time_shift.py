"""Time shift: each clip begins a little earlier or later; silence takes the place of what has moved away.

What moves over an end of the clip is lost, so that words that are said there would be learnt from sounds without them:
targets that are written for the whole clip are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

from pydantic import Field

from headstart.augmentations._draws import uniform
from headstart.augmentations._sounds import known_sounds, own_mask, require_bound, silence
from headstart.contracts.augmentation import InputViews
from headstart.contracts.carriers import State
from headstart.contracts.inputs import InputKind, Sounds


class TimeShift(InputViews):
    """Earlier or later."""

    modalities: ClassVar[tuple[str, ...]] = ("audio",)
    cuts: ClassVar[bool] = True

    most: float = Field(default=0.1, gt=0)
    """Largest shift, in seconds, and at most half of the clip; > 0."""
    sounds: Sounds | None = None
    """The form of the sounds; the backbone says it."""

    def bind(self, inputs: InputKind | None, examples: int) -> Self:  # noqa: ARG002
        """Learn the form. Raises SettingsError where the backbone begins with no sounds."""
        return self.model_copy(update={"sounds": known_sounds("time_shift", inputs)})

    def view(self, state: State, seeds: Sequence[int]) -> State:
        """`state.hidden` (batch, samples) or (batch, frames, bands)."""
        sounds, hidden = require_bound("time_shift", self.sounds), state.hidden.clone()
        shares = (2 * uniform(seeds, 1)[:, 0] - 1).tolist()
        for clip, length, share in zip(hidden, own_mask(state).sum(dim=1).tolist(), shares):
            by = round(share * min(self.most * sounds.rate, length / 2))
            own = clip[:length].clone()
            clip[:length] = silence(own, sounds)
            clip[max(by, 0) : length + min(by, 0)] = own[max(-by, 0) : length - max(by, 0)]
        return State(hidden, state.context, state.taps)
