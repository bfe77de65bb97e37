"""Sounds in files or in memory: waveforms of any length, rate and number of channels."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from headstart.contracts.examples import Raw, Schema
from headstart.contracts.modality import PlainModality, Sizes
from headstart.kernel.errors import DataError
from headstart.kernel.files import hash_bytes
from headstart.media.audio import Excerpt, as_file, is_audio_path, read_sound, sound_info
from headstart.media.audio import source_of as file_of
from headstart.modalities._in_memory import shown, stored_at
from headstart.numerics.mel import has_upper_half

LONG = 30.0
"""Seconds from which a clip is called long."""
LOOKED_AT = 40
"""Clips whose spectrum is looked at."""
HEARD = 8.0
"""Seconds of a clip in a report."""
HEARD_RATE = 16_000
STATED = ("sample_rate", "sampling_rate", "samplerate")


class AudioInput(PlainModality):
    """Sounds in files or in memory."""

    unit: ClassVar[str] = "clips"
    like_lengths: ClassVar[bool] = True

    def raws(self, table: pa.Table, schema: Schema) -> list[Raw]:
        """Paths below the schema's root, or the bytes of files; parts of these where the schema names one."""
        sources = [stored_at(value, schema.root) for value in table.column(schema.inputs[0]).to_pylist()]
        if schema.box is None:
            return [*sources]
        return [Excerpt(source, *part) for source, part in zip(sources, table.column(schema.box).to_pylist())]

    def source(self, raw: Raw) -> Path | bytes:
        """The file of the whole sound."""
        return file_of(raw)

    def key(self, raw: Raw, digest: str) -> str:
        """A hash of the file's, and of the part of it that is meant."""
        part = repr((raw.start, raw.seconds)).encode() if isinstance(raw, Excerpt) else b""
        return hash_bytes(b"sound", digest.encode(), part)

    def wave(self, raw: Raw, rate: int, seconds: float = math.inf) -> np.ndarray:
        """The waveform, of at most so many seconds."""
        return read_sound(raw, rate, seconds)

    def heard(self, raw: Raw) -> bytes:
        """Its first seconds as a small MP3 file."""
        return as_file(read_sound(raw, HEARD_RATE, HEARD), HEARD_RATE, "MP3")

    def sizes(self, raws: Sequence[Raw], names: Sequence[str]) -> Sizes:  # noqa: ARG002
        """Seconds, as the files' headers say."""
        seconds = [info.seconds for info in _headers(raws) if info is not None]
        return Sizes({"length": seconds}, unit="s")

    def remarks(self, raws: Sequence[Raw], origins: Sequence[str]) -> tuple[str, ...]:
        """Rates, channels and lengths, and whether a rate is what it seems."""
        headers = _headers(raws)
        known = [info for info in headers if info is not None]
        rates = Counter(info.rate for info in known)
        said = []
        if len(rates) > 1:
            listed = ", ".join(f"{rate} Hz {count}" for rate, count in rates.most_common(5))
            said.append(f"clips of several sample rates, each brought to the one that the backbone reads: {listed}")
        mixed = sum(info.channels > 1 for info in known)
        if mixed:
            said.append(f"clips with more than one channel, which are averaged: {mixed}")
        long = [origin for origin, info in zip(origins, headers) if info is not None and info.seconds > LONG]
        if long:
            said.append(f"clips longer than {LONG:g} s: {len(long)}, such as {long[0]}")
        return (*said, *_narrow(raws, origins, headers))

    def preview(self, raw: Raw) -> str:
        """The name of the file, and how long it is."""
        source = file_of(raw)
        name = source.name if isinstance(source, Path) else "sound in memory"
        try:
            length = raw.seconds if isinstance(raw, Excerpt) else sound_info(source).seconds
        except DataError:
            return name
        return f"{name} ({length:.1f} s)"

    def recognises(self, inputs: Any) -> float:
        """Certain where most inputs are names of sound files, or data sets' arrays with a rate."""
        if isinstance(inputs, np.ndarray) and inputs.ndim > 1:
            return 0.0
        hits = [(isinstance(item, _FILE) and is_audio_path(os.fspath(item))) or _is_array(item) for item in inputs]
        return float(2 * sum(hits) > len(hits))

    def columns(self, inputs: Any) -> Mapping[str, Any]:
        """Paths stay paths, so that the hashes of files are found again; waveforms become files in memory."""
        kinds = pa.struct({"path": pa.string(), "bytes": pa.binary()})
        return {"audio": pa.array([_stored(item, row) for row, item in enumerate(inputs)], kinds)}


_FILE = (str, os.PathLike)


def _headers(raws: Sequence[Raw]) -> list[Any]:
    """Headers of the files; None where one cannot be read."""
    found: list[Any] = []
    for raw in raws:
        try:
            found.append(sound_info(file_of(raw)))
        except DataError:
            found.append(None)
    return found


def _narrow(raws: Sequence[Raw], origins: Sequence[str], headers: Sequence[Any]) -> tuple[str, ...]:
    """A note on clips without any sound above a quarter of their rate: they were recorded at half of it, or less."""
    wide = [row for row, info in enumerate(headers) if info is not None and info.rate >= HEARD_RATE]
    chosen = wide[:: max(1, len(wide) // LOOKED_AT)][:LOOKED_AT]
    narrow = [row for row in chosen if not _has_upper_half(raws[row], headers[row].rate)]
    if not narrow:
        return ()
    return (
        f"{len(narrow)} of {len(chosen)} clips that were looked at hold nothing above a quarter of their sample rate, "
        f"such as {origins[narrow[0]]}: they were recorded at half the rate that they state, or less",
    )


def _has_upper_half(raw: Raw, rate: int) -> bool:
    try:
        return has_upper_half(read_sound(raw, rate, 2.0))
    except DataError:
        return True


def _is_array(item: Any) -> bool:
    return isinstance(item, Mapping) and {"array", "sampling_rate"} <= item.keys()


def _stored(item: Any, row: int) -> dict[str, Any]:
    if isinstance(item, _FILE):
        return {"path": os.fspath(item)}
    if isinstance(item, bytes):
        return {"bytes": item}
    if not _is_array(item):
        raise DataError(f"row {row} of X holds {shown(item)}; expected a sound file, or an array with a sampling_rate")
    wave = np.asarray(item["array"])
    if wave.ndim != 1 or not np.issubdtype(wave.dtype, np.floating):
        raise DataError(
            f"row {row} of X holds an array of {wave.dtype} {wave.shape}; expected (samples,) floats in [-1, 1]"
        )
    return {"bytes": as_file(wave.astype(np.float32), int(item["sampling_rate"]))}
