"""Meaning of the numbers at boundary 0: the facts that an augmentation needs to act on them."""

from __future__ import annotations

from headstart.kernel.settings import Settings


class Pixels(Settings):
    """Normalised pictures (batch, channels, height, width): (value - mean) / std of values in [0, 1]."""

    mean: tuple[float, ...]
    """Of each channel, for values in [0, 1]."""
    std: tuple[float, ...]
    """Of each channel, for values in [0, 1]; > 0."""


class Tokens(Settings):
    """Token numbers (batch, length)."""

    mask: int | None = None
    """The token that stands for a hidden one: the mask token, else the unknown one; None where there is neither."""
    special: tuple[int, ...] = ()
    """Tokens that are no part of a text: its beginning, its end, padding."""


SPOKEN = "spoken"
"""The context entry that is 0 in silence that fills a sound up to a fixed length and is read as well."""


class Sounds(Settings):
    """Waveforms (batch, samples), or spectrograms (batch, frames, bands) of logarithms of power, with their mask."""

    rate: float
    """Samples or frames per second."""
    log: float | None = None
    """What natural logarithms of power are multiplied by in a spectrogram, which may be shifted; None: waveforms."""


InputKind = Pixels | Tokens | Sounds
