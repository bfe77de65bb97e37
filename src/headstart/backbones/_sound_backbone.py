"""Backbones that read sounds, and those among them whose frames are made before the first stage, without weights."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from headstart.backbones._text_pooling import pool
from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import LENGTH_MASK, State, Tap
from headstart.contracts.examples import Raw
from headstart.contracts.features import Features
from headstart.contracts.network import Stage
from headstart.kernel.errors import BackboneError, DataError
from headstart.media.audio import Excerpt, Source, read_sound, sound_info, source_of

LONGEST = 30.0
"""Seconds of a clip that are read, by default."""


class SoundBackbone(Backbone):
    """Base of the backbones that read sounds."""

    modality = "audio"
    rate: int
    """Samples per second that it reads."""
    longest: float
    """Seconds of a clip that are read."""
    frame_seconds: float
    """Time from one frame of the features to the next."""

    def waves(self, raws: Sequence[Raw]) -> list[np.ndarray]:
        """The waveforms, each (samples,) float32. Raises DataError."""
        for raw in raws:
            if not isinstance(raw, (Source, Excerpt)):
                raise DataError(f"is no sound but of type {type(raw).__name__}")
        return [read_sound(raw, self.rate, self.longest) for raw in raws]

    def length(self, raw: Raw) -> int:
        """Hundredths of a second that are read."""
        return max(1, round(100 * min(self.seconds(raw), self.longest)))

    def frames(self, raw: Raw) -> int:
        """Frames of the features of a clip, about."""
        return max(1, int(min(self.seconds(raw), self.longest) / self.frame_seconds))

    def seconds(self, raw: Raw) -> float:
        """Length of a clip as its header says; 0 for one that cannot be read."""
        try:
            whole = sound_info(source_of(raw)).seconds
        except DataError:
            return 0.0
        return min(raw.seconds, max(whole - raw.start, 0.0)) if isinstance(raw, Excerpt) else whole

    def placed(self) -> SoundBackbone:
        """Itself: frames follow one another in time."""
        return self

    def unread(self, raws: Sequence[Raw]) -> np.ndarray:
        """(inputs,) the share of each clip beyond the longest that is read."""
        return np.array([max(0.0, 1 - self.longest / max(self.seconds(raw), 1e-9)) for raw in raws])


class FrameBackbone(SoundBackbone):
    """One stage of frames that are made before it."""

    stages = (Stage("frames", ()),)

    def __init__(self) -> None:
        self.module = nn.Identity()

    @abstractmethod
    def framed(self, wave: np.ndarray) -> np.ndarray:
        """Return the frames (frames, numbers) float32 of a waveform (samples,); at least one."""

    def prepare(self, raws: Sequence[Raw]) -> State:
        """Frames (batch, frames, numbers), padded on the right, with their mask."""
        frames = [torch.from_numpy(self.framed(wave)) for wave in self.waves(raws)]
        return padded(frames)

    def segment(self, start: int, stop: int, taps: Sequence[Tap] = ()) -> nn.Module:
        """The identity. Raises BackboneError on a tap other than of its one stage."""
        inside = [stage.name for stage in self.stages[start:stop]]
        for tap in taps:
            if tap.boundary not in inside:
                raise BackboneError(f"boundary '{tap.boundary}' cannot be tapped. Known: {', '.join(inside) or 'none'}")
        return _Tapped(self, tuple(taps))

    def features(self, state: State) -> Features:
        """The frames, and their mean."""
        mask = state.context[LENGTH_MASK]
        return Features(pool(state.hidden, mask, "mean"), state.hidden, mask)


class _Tapped(nn.Module):
    def __init__(self, backbone: FrameBackbone, taps: tuple[Tap, ...]) -> None:
        super().__init__()
        self.taps, self._pooled = taps, backbone.features

    def forward(self, state: State) -> State:
        seen = {tap.key: state.hidden if tap.form == "map" else self._pooled(state).pooled for tap in self.taps}
        return State(state.hidden, state.context, {**state.taps, **seen})


def padded(rows: Sequence[Tensor]) -> State:
    """Rows (length, ...) as one state (batch, longest, ...) with their mask; zeros fill it up."""
    lengths = torch.tensor([len(row) for row in rows])
    mask = (torch.arange(int(lengths.max()))[None, :] < lengths[:, None]).long()
    return State(pad_sequence(list(rows), batch_first=True), {LENGTH_MASK: mask})


def settings_of(settings: Any, plugin: str) -> Mapping[str, Any]:
    """Return what rebuilds a backbone that has no weights."""
    return {"plugin": plugin, "settings": settings.model_dump(mode="json")}
