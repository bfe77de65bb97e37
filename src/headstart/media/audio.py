"""Sound files as mono waveforms at the rate that is asked for, read by libsndfile (wav, flac, ogg, mp3).

Channels are averaged. Another rate is reached by polyphase filtering, whose low-pass filter keeps frequencies above
half the new rate from folding back into it.
"""

from __future__ import annotations

import importlib
import io
import math
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from scipy.signal import resample_poly

from headstart.kernel.errors import DataError
from headstart.kernel.regular import require_regular

SUFFIXES = frozenset((".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".snd"))

Source = Path | bytes
"""A sound file, or the bytes of one."""


class Excerpt(NamedTuple):
    """A part of a sound."""

    source: Source
    start: float
    """In seconds."""
    seconds: float


def source_of(sound: Source | Excerpt) -> Source:
    """The file of the whole sound."""
    return sound.source if isinstance(sound, Excerpt) else sound


class SoundInfo(NamedTuple):
    """Contents of a sound file, as its header states them."""

    rate: int
    """Samples per second."""
    channels: int
    samples: int
    """Of each channel."""

    @property
    def seconds(self) -> float:
        """Length."""
        return self.samples / self.rate


def is_audio_path(path: str) -> bool:
    """Return whether a path ends as a sound file's name does."""
    return PurePosixPath(path).suffix.lower() in SUFFIXES


def sound_info(source: Source) -> SoundInfo:
    """Read the header. Raises DataError as `read_sound`."""
    with _opened(source) as file:
        return SoundInfo(file.samplerate, file.channels, file.frames)


def read_sound(sound: Source | Excerpt, rate: int, seconds: float = math.inf) -> np.ndarray:
    """Return the waveform (samples,) float32, full scale being 1.

    Args:
        sound: the file, or a part of one.
        rate: samples per second of the result.
        seconds: length that is read at most; no more than that is decoded.

    Raises:
        DataError: it cannot be read, or holds no samples, or silence alone; in words that follow its name.
    """
    if isinstance(sound, Excerpt):
        seconds = min(seconds, sound.seconds)
    with _opened(source_of(sound)) as file:
        own = file.samplerate
        try:
            if isinstance(sound, Excerpt):
                file.seek(min(round(sound.start * own), file.frames))
            count = -1 if math.isinf(seconds) else round(seconds * own)
            samples = file.read(count, dtype="float32", always_2d=True)
        except Exception as error:  # soundfile raises RuntimeErrors of its own
            raise DataError(f"cannot be decoded: {_reason(error)}") from error
    if not len(samples):
        raise DataError("holds no samples")
    if not np.isfinite(samples).all():
        raise DataError("contains samples that are not finite numbers")
    if not samples.any() and not isinstance(sound, Excerpt):  # a long recording may pause for as long
        raise DataError("is silent: every sample is 0")
    return resampled(samples.mean(axis=1, dtype=np.float32), own, rate)


def resampled(wave: np.ndarray, own: int, rate: int) -> np.ndarray:
    """Return a waveform (samples,) of `own` samples per second with `rate` of them, float32."""
    if own == rate:
        return np.asarray(wave, np.float32)
    common = math.gcd(own, rate)
    return np.asarray(resample_poly(wave, rate // common, own // common), np.float32)


def as_file(wave: np.ndarray, rate: int, kind: str = "WAV") -> bytes:
    """Return a waveform (samples,) as the bytes of a file: 'WAV' keeps 32-bit floats, 'MP3' is small."""
    library, buffer = soundfile(), io.BytesIO()
    if kind == "MP3":
        library.write(buffer, wave, rate, format=kind, compression_level=0.9)
    else:
        library.write(buffer, wave, rate, format=kind, subtype="FLOAT")
    return buffer.getvalue()


def soundfile() -> Any:
    """Return the library that reads sound. Raises DataError where it is not installed."""
    try:
        return importlib.import_module("soundfile")
    except (ImportError, OSError) as error:  # OSError: its shared library is missing
        raise DataError("soundfile is needed for audio: pip install 'headstart[audio]'") from error


def _opened(source: Source) -> Any:
    library = soundfile()
    try:
        if isinstance(source, bytes):
            if not source:
                raise DataError("is empty (0 bytes)")
            return library.SoundFile(io.BytesIO(source))
        if not require_regular(source).st_size:
            raise DataError("is empty (0 bytes)")
        return library.SoundFile(str(source))
    except FileNotFoundError as error:
        raise DataError("is missing") from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}") from error
    except (RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"is no sound that can be read: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """Return the reason alone, without the name of the file."""
    return str(getattr(error, "error_string", None) or error).strip().splitlines()[0].rstrip(".")
