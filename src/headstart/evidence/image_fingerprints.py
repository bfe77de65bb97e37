"""Fingerprints of images: a difference hash and a grey thumbnail, kept by content so that nothing is decoded twice.

The difference hash is dHash: one bit per neighbouring pair of cells in a 9x8 grey reduction, set where the left cell is
brighter (Krawetz, "Kind of Like That", 2013).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path

import numpy as np
from PIL import Image

from headstart.contracts.examples import Examples
from headstart.engine.content import changes
from headstart.engine.memo import Memo
from headstart.kernel.errors import DataError
from headstart.kernel.progress import Quiet, Reporter
from headstart.media.images import decode_image, image_size

SIDE = 32
"""Width and height of the thumbnail."""

RECORD = np.dtype([("width", "<u4"), ("height", "<u4"), ("bits", "<u8"), ("pixels", "u1", (SIDE, SIDE))])
"""One fingerprint: size of the upright image, difference hash, grey thumbnail."""

_DECODE_AT_LEAST = 4 * SIDE
_CHUNK = 32
_BIT_ORDER = np.arange(64) * 29 % 64
"""Spreads each run of 16 bits over the whole image, so that a blank border does not make a run the same everywhere."""


@dataclass(frozen=True)
class Fingerprints:
    """Fingerprints of the readable images among some examples."""

    rows: np.ndarray
    """(readable,) int64: the row of each record, ascending."""
    records: np.ndarray
    """(readable,) of `RECORD`."""
    failures: dict[int, str]
    """Row -> why the image cannot be read, in words that follow the file's name."""


def fingerprint_images(
    examples: Examples, keys: Sequence[str | None], reporter: Reporter | None = None
) -> Fingerprints:
    """Fingerprint every image, each different content once.

    Args:
        examples: of modality 'image'.
        keys: content key of each example; rows without one are left out, their reason is known already.
        reporter: is told the progress.
    """
    memo = Memo("image-fingerprints-1")
    kept = memo.get([key.encode() for key in set(keys) if key is not None])
    found = {key.decode(): value for key, value in kept.items() if len(value) == RECORD.itemsize}
    reasons: dict[str, str] = {}
    changed: dict[int, str] = {}
    while missing := _one_row_each(keys, known=found.keys() | reasons.keys(), but=changed.keys()):
        new, why = _decode_all(examples, missing, reporter or Quiet())
        gone = changes(examples, keys, np.array(list(missing.values())))
        sound = {key for key, row in missing.items() if row not in gone}
        new = {key: value for key, value in new.items() if key in sound}
        memo.put({key.encode(): value for key, value in new.items()})
        found |= new
        reasons |= {key: reason for key, reason in why.items() if key in sound}
        changed |= gone
    readable = [(row, found[key]) for row, key in enumerate(keys) if key in found and row not in changed]
    records = np.frombuffer(b"".join(record for _, record in readable), RECORD)
    failures = {row: reasons[key] for row, key in enumerate(keys) if key in reasons} | changed
    return Fingerprints(np.array([row for row, _ in readable], np.int64), records, failures)


def _one_row_each(keys: Sequence[str | None], *, known: Set[str], but: Set[int]) -> dict[str, int]:
    """Each key that is not known yet, with the first of its rows."""
    rows = ((key, row) for row, key in reversed(list(enumerate(keys))) if key is not None)
    return {key: row for key, row in rows if key not in known and row not in but}


def _decode_all(
    examples: Examples, rows: dict[str, int], reporter: Reporter
) -> tuple[dict[str, bytes], dict[str, str]]:
    """Key -> record, and key -> reason of failure."""
    if not rows:
        return {}, {}
    order = list(rows.items())
    sources = examples.raws([row for _, row in order])
    new: dict[str, bytes] = {}
    reasons: dict[str, str] = {}
    with (
        reporter.counter("looking at images", len(order), "images") as advance,
        ThreadPoolExecutor(cpu_count() or 1) as pool,
    ):
        _collect(pool, order, sources, new, reasons, advance)
    return new, reasons


def _collect(
    pool: ThreadPoolExecutor,
    order: Sequence[tuple[str, int]],
    sources: Sequence[object],
    new: dict[str, bytes],
    reasons: dict[str, str],
    advance: Callable[[int], None],
) -> None:
    chunks = [sources[start : start + _CHUNK] for start in range(0, len(sources), _CHUNK)]
    done = 0
    for answers in pool.map(lambda chunk: [_attempt(source) for source in chunk], chunks):
        for (key, _), answer in zip(order[done : done + len(answers)], answers):
            if isinstance(answer, bytes):
                new[key] = answer
            else:
                reasons[key] = answer
        done += len(answers)
        advance(len(answers))


def _attempt(source: object) -> bytes | str:
    try:
        return fingerprint(source if isinstance(source, bytes) else Path(str(source))).tobytes()
    except DataError as error:
        return str(error)


def fingerprint(source: Path | bytes) -> np.ndarray:
    """One image's `RECORD`, as an array of shape (). Raises DataError."""
    width, height = image_size(source)
    grey = decode_image(source, at_least=_DECODE_AT_LEAST).convert("L")
    cells = np.asarray(grey.resize((9, 8), Image.Resampling.BILINEAR))
    bits = np.packbits((cells[:, :-1] > cells[:, 1:]).ravel()[_BIT_ORDER])
    pixels = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    return np.array((width, height, bits.view("<u8")[0], pixels), RECORD)
