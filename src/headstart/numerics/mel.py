"""Log-mel spectrograms: energies of a sound in bands that grow wider with frequency, as logarithms.

Frames of a Hann window are taken every hop, without padding but of a sound shorter than one window; their power spectra
are summed in triangular bands (Slaney's mel scale, of unit area, as of librosa and of Whisper) and the natural
logarithm of the sums is taken, of 1e-10 at least.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.fft import rfft

FLOOR = 1e-10
"""Least energy of a band: about -100 dB of full scale."""

BANDS, PARTS = 40, 8
"""Bands, and parts of the time, of `mel_statistics`."""
GLANCE_RATE, GLANCE_SECONDS = 16_000, 30.0
"""Samples per second, and how much of a sound, these are usually taken of."""

_LINEAR = 200.0 / 3
"""Hz per mel below 1000 Hz."""
_STEP = np.log(6.4) / 27
"""Logarithm of the ratio of frequencies one mel apart, above 1000 Hz."""
_BREAK = 1000.0 / _LINEAR


def log_mel(wave: np.ndarray, rate: int, bands: int, window: int, hop: int) -> np.ndarray:
    """Return the logarithms (frames, bands) float32 of a waveform (samples,).

    Args:
        wave: full scale being 1.
        rate: samples per second.
        bands: number of mel bands from 0 Hz to half the rate.
        window: samples in a frame.
        hop: samples from one frame to the next.
    """
    if len(wave) < window:
        wave = np.pad(wave, (0, window - len(wave)))
    frames = np.lib.stride_tricks.sliding_window_view(wave, window)[::hop]
    size = 1 << (window - 1).bit_length()
    hann = np.hanning(window + 1)[:-1].astype(np.float32)
    power = np.abs(rfft(frames * hann, size, axis=1)) ** 2
    return np.log(np.maximum(power @ mel_bands(rate, size, bands), FLOOR)).astype(np.float32)


def mel_statistics(wave: np.ndarray, rate: int) -> np.ndarray:
    """Return what a waveform (samples,) sounds like at a glance, (280,) float32.

    Of 40 bands every 10 ms the mean, the deviation, and the deviation of the differences from frame to frame; and what
    stands out when: the means of 20 pairs of bands in 8 parts of the time, less those of the whole.
    """
    frames = log_mel(wave, rate, BANDS, round(0.025 * rate), round(0.01 * rate))
    changes = np.diff(frames, axis=0) if len(frames) > 1 else np.zeros_like(frames)
    mean = frames.mean(axis=0)
    places = np.arange(len(frames)) * PARTS // len(frames)
    parts = np.stack([frames[places == part].mean(axis=0) if (places == part).any() else mean for part in range(PARTS)])
    course = (parts - mean).reshape(PARTS, -1, 2).mean(axis=2)
    return np.concatenate([mean, frames.std(axis=0), changes.std(axis=0), course.ravel()])


def has_upper_half(wave: np.ndarray) -> bool:
    """Return whether the upper half of the frequencies of a waveform (samples,) holds more than a millionth of its
    energy: what was brought to a higher rate than it was recorded at has none."""
    power = np.abs(rfft(wave)) ** 2
    return bool(power[len(power) // 2 + len(power) // 10 :].sum() > 1e-6 * power.sum())


@cache
def mel_bands(rate: int, size: int, bands: int) -> np.ndarray:
    """Return the weights (size // 2 + 1, bands) of the frequencies of a Fourier transform of `size` samples."""
    edges = _hertz(np.linspace(0.0, _mels(rate / 2), bands + 2))
    distances = edges[None, :] - np.linspace(0.0, rate / 2, size // 2 + 1)[:, None]
    widths = np.diff(edges)
    triangles = np.minimum(-distances[:, :-2] / widths[:-1], distances[:, 2:] / widths[1:])
    return np.asarray(np.maximum(triangles, 0.0) * 2 / (edges[2:] - edges[:-2]))


def _mels(hertz: float) -> float:
    return hertz / _LINEAR if hertz < 1000.0 else _BREAK + float(np.log(hertz / 1000.0)) / _STEP


def _hertz(mels: np.ndarray) -> np.ndarray:
    return np.where(mels < _BREAK, _LINEAR * mels, 1000.0 * np.exp(_STEP * (mels - _BREAK)))
