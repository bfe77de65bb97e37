"""Looking at every mask once: which values it holds, its size, and whether it lies over its picture.

Nothing of a mask is kept but these; a mask that was looked at is not read again as long as its file stays the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from os import cpu_count
from pathlib import Path
from typing import Any

import numpy as np

from headstart.contracts.examples import Examples
from headstart.contracts.modality import raws_of
from headstart.kernel.errors import DataError
from headstart.kernel.files import hash_bytes
from headstart.kernel.regular import read_regular
from headstart.media.images import image_size, stored_size
from headstart.media.masks import MaskFile, Reading, read_mask
from headstart.tasks.segmentation.mask_smoothing import pixels_between

MASK = "mask"
"""The name of the target."""


@dataclass(frozen=True)
class Seen:
    """Contents of a mask."""

    counts: tuple[tuple[int, int], ...]
    """(value, pixels), ascending; colours as 0xRRGGBB."""
    height: int
    width: int
    coloured: bool
    key: str
    """Hash of its content."""
    colours: tuple[int, ...]
    """0xRRGGBB of each value."""
    indexed: bool = False
    """Whether a palette says the colours."""
    between: tuple[int, ...] = ()
    """Of each value, the pixels that lie between lower and higher ones; empty where nothing speaks of smoothing."""

    @property
    def values(self) -> tuple[int, ...]:
        """The values alone."""
        return tuple(value for value, _ in self.counts)


def sources(examples: Examples) -> list[MaskFile]:
    """The masks, as files or encoded bytes, and how they are read.

    Raises:
        DataError: examples have no mask; names some.
    """
    given = examples.target(MASK)
    missing = [row for row, value in enumerate(given) if not value]
    if missing:
        raise DataError(f"{len(missing)} of {len(given)} pictures have no mask: {examples.named(missing)}")
    schema = examples.schema
    files = [value if isinstance(value, bytes) else Path(schema.root, value) for value in given]
    if not schema.as_stored:
        return [MaskFile(file, Reading(schema.threshold)) for file in files]
    turns = map(_orientation, raws_of(examples))
    return [MaskFile(file, Reading(schema.threshold, turn)) for file, turn in zip(files, turns)]


def _orientation(picture: Any) -> int:
    try:
        return stored_size(picture).orientation
    except DataError:  # named where it is read
        return 1


def look(examples: Examples) -> list[Seen]:
    """Every mask, in the order of the examples.

    Raises:
        DataError: masks cannot be read, or have another size than their pictures; all of them are counted, some named.
    """
    found = looked(examples)
    for fault in faults_of(examples, found):
        raise DataError(fault)
    return [seen for seen in found if isinstance(seen, Seen)]


def looked(examples: Examples) -> list[Seen | str]:
    """Return the contents of each mask, or what is wrong with it. Raises DataError where examples have no mask."""
    masks, pictures = sources(examples), raws_of(examples)
    with ThreadPoolExecutor(cpu_count() or 1) as pool:
        return list(pool.map(_look_or_say, masks, pictures))


def faults_of(examples: Examples, found: Sequence[Seen | str]) -> tuple[str, ...]:
    """Describe the faults of masks in one sentence that names some; none where all can be used."""
    faults = [(row, words) for row, words in enumerate(found) if isinstance(words, str)]
    if not faults:
        return ()
    origins = examples.take([row for row, _ in faults[:5]]).origins()
    listed = "\n".join(f"  {origin}: {words}" for origin, (_, words) in zip(origins, faults))
    more = f"\n  and {len(faults) - 5} more" if len(faults) > 5 else ""
    return (f"{len(faults)} of {len(examples)} masks cannot be used:\n{listed}{more}",)


def _look_or_say(mask: MaskFile, picture: Any) -> Seen | str:
    """Return what a mask holds, or what is wrong with it."""
    try:
        seen = _look(mask, _changed(mask.source))
        width, height = image_size(picture)
    except DataError as error:
        return f"the mask {error}"
    if (width, height) != (seen.width, seen.height):
        axes = ": rows and columns are exchanged" if (height, width) == (seen.width, seen.height) else ""
        return f"the picture has {width}x{height} pixels, its mask {seen.width}x{seen.height}; they must agree{axes}"
    return seen


@lru_cache(maxsize=1 << 17)
def _look(mask: MaskFile, changed: int) -> Seen:  # noqa: ARG001
    content = mask.source if isinstance(mask.source, bytes) else _content(mask.source)
    found = read_mask(content, mask.reading)
    values, counts = np.unique(found.values, return_counts=True)
    height, width = found.values.shape
    return Seen(
        tuple(zip(values.tolist(), counts.tolist())),
        height,
        width,
        found.coloured,
        hash_bytes(content),
        tuple(found.colours(values).tolist()),
        found.palette is not None,
        pixels_between(found.values, values),
    )


def _content(path: Path) -> bytes:
    try:
        return read_regular(path)
    except FileNotFoundError as error:
        raise DataError("is missing") from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}") from error


def _changed(mask: Path | bytes) -> int:
    if isinstance(mask, bytes):
        return 0
    try:
        return mask.stat().st_mtime_ns
    except OSError:
        return 0
