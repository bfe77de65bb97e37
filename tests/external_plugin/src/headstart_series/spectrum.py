"""Spectrum: the amplitudes of a series at 33 frequencies, its mean and its spread, mixed by two small random layers.

The series is stretched to 64 points. Random features (Rahimi & Recht 2007) of a spectrum are a modest start and need no
download; fine-tuning moves the layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import State, Tap
from headstart.contracts.examples import Raw
from headstart.contracts.features import Features
from headstart.contracts.network import Stage
from headstart.kernel.errors import BackboneError, DataError
from headstart.kernel.settings import Settings

NAME, POINTS = "spectrum", 64
STAGES = ("spectrum", "layer.0", "layer.1")


class Spectrum(Settings):
    """Spectra of series under random layers."""

    modality: ClassVar[str] = "series"

    reference: str = NAME
    """Always 'spectrum'."""
    width: int = Field(default=32, ge=1)
    """Width of the features; >= 1."""
    seed: int = 0
    """Decides the weights; >= 0."""

    @classmethod
    def suits(cls, reference: str) -> bool:
        """Return whether it is asked for by its own name."""
        return reference == NAME

    @classmethod
    def known(cls) -> list[str]:
        """Its own name."""
        return [NAME]

    @classmethod
    def automatic(cls) -> tuple[str, str]:
        """For every series."""
        return NAME, "spectra describe series of any length, and need no download"

    def load(self) -> Backbone:
        """Return the network with the random weights of its seed."""
        return _SpectrumNet(self)

    def rebuild(self, assets: Path) -> Backbone:
        """Return the architecture, its weights to be filled in."""
        return _SpectrumNet(self)


class _SpectrumNet(Backbone):
    modality = "series"

    def __init__(self, settings: Spectrum) -> None:
        self.name, self.origin, self.width = NAME, "random", settings.width
        self._settings = settings
        with torch.random.fork_rng():
            torch.manual_seed(settings.seed)
            first, second = (nn.Linear(width, settings.width) for width in (POINTS // 2 + 3, settings.width))
        layers = (nn.Sequential(layer, nn.GELU()) for layer in (first, second))
        self.module = nn.Sequential(_Amplitudes(), *layers).eval()
        self.stages = tuple(
            Stage(name, tuple(f"{k}.{weight}" for weight, _ in part.named_parameters()), (), (str(k),))
            for k, (name, part) in enumerate(zip(STAGES, self.module))
        )

    def prepare(self, raws: Sequence[Raw]) -> State:
        """(batch, 64) float32: each series stretched. Raises DataError on an empty one and on NaN."""
        return State(torch.stack([_stretched(raw) for raw in raws]))

    def length(self, raw: Raw) -> int:
        """How many measurements there are."""
        return len(raw)

    def preparation(self) -> Mapping[str, Any]:
        """The number of points."""
        return {"family": NAME, "points": POINTS}

    def segment(self, start: int, stop: int, taps: Sequence[Tap] = ()) -> nn.Module:
        """Return the stages in between. Raises BackboneError on a tap outside of them."""
        inside = STAGES[start:stop]
        outside = [tap.boundary for tap in taps if tap.boundary not in inside]
        if outside:
            raise BackboneError(f"boundary '{outside[0]}' cannot be tapped. Known: {', '.join(inside) or 'none'}")
        return _Segment(dict(zip(inside, self.module[start:stop])), tuple(taps))  # type: ignore[index]

    def features(self, state: State) -> Features:
        """What the last layer gives: (batch, width)."""
        return Features(state.hidden)

    def describe(self) -> dict[str, Any]:
        """The architecture: the seed decides weights alone."""
        return {"plugin": NAME, "settings": {**self._settings.model_dump(mode="json"), "seed": 0}}

    def fresh(self, seed: int) -> Backbone:
        """Return the same network with other random weights."""
        return _SpectrumNet(self._settings.model_copy(update={"seed": seed}))


def _stretched(raw: Raw) -> Tensor:
    values = np.asarray(raw, np.float64)
    if values.ndim != 1 or not len(values):
        raise DataError("is not a series of numbers")
    points = np.interp(np.linspace(0, len(values) - 1, POINTS), np.arange(len(values)), values).astype(np.float32)
    if not np.isfinite(points).all():
        raise DataError("contains a missing (NaN) or infinite number")
    return torch.from_numpy(points)


class _Amplitudes(nn.Module):
    def forward(self, points: Tensor) -> Tensor:
        mean, spread = points.mean(1, keepdim=True), points.std(1, keepdim=True)
        amplitudes = torch.fft.rfft(points.float() - mean.float()).abs()
        return torch.cat([amplitudes.log1p().to(points.dtype), mean, spread.log1p()], dim=1)


class _Segment(nn.Module):
    def __init__(self, parts: Mapping[str, nn.Module], taps: tuple[Tap, ...]) -> None:
        super().__init__()
        self.names, self.parts, self.taps = tuple(parts), nn.ModuleList(parts.values()), taps

    def forward(self, state: State) -> State:
        hidden, seen = state.hidden, dict(state.taps)
        for name, part in zip(self.names, self.parts):
            hidden = part(hidden)
            seen |= {tap.key: hidden for tap in self.taps if tap.boundary == name}
        return State(hidden, state.context, seen)
