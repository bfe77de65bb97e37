"""Fingerprints of pictures: a difference hash and a grey thumbnail, kept by content so that nothing is decoded twice.

The difference hash is dHash: one bit per neighbouring pair of cells in a 9x8 grey reduction, set where the left cell is
brighter (Krawetz, "Kind of Like That", 2013).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import cast

import numpy as np
from PIL import Image

from headstart.contracts.examples import Examples, Raw
from headstart.contracts.modality import HasPicture, modality_named, raws_of
from headstart.engine.frozen.content_keys import changes
from headstart.engine.frozen.disk_cache import DiskCache
from headstart.engine.frozen.feeding import Read, reading
from headstart.engine.frozen.work_locks import work_lock
from headstart.kernel.files import hash_bytes
from headstart.kernel.processor import cores
from headstart.kernel.progress import Quiet, Reporter

SIDE = 32
"""Width and height of the thumbnail."""

RECORD = np.dtype([("width", "<u4"), ("height", "<u4"), ("bits", "<u8"), ("pixels", "u1", (SIDE, SIDE))])
"""One fingerprint: size of the upright picture, difference hash, grey thumbnail."""

MEMO = "image-fingerprints-3"
_DECODE_AT_LEAST = 4 * SIDE
_CHUNK = 16
_AT_ONCE = max(512, 64 * cores())
"""Images after which the records are kept, so that a kill costs no more, nor a wait for another process."""
_BIT_ORDER = np.arange(64) * 29 % 64
"""Spreads each run of 16 bits over the whole image, so that a blank border does not make a run the same everywhere."""


@dataclass(frozen=True)
class Fingerprints:
    """Fingerprints of the readable pictures among some examples."""

    rows: np.ndarray
    """(readable,) int64: their rows, ascending."""
    record_of: np.ndarray
    """(readable,) int64: which record is that of each."""
    records: np.ndarray
    """(different pictures,) of `RECORD`, in the order of their first rows."""
    failures: dict[int, str]
    """Row -> why the picture cannot be read, in words that follow the file's name."""


@dataclass(frozen=True)
class FingerprintReader:
    """Makes the fingerprint of an input's picture, also in a worker process."""

    kind: HasPicture
    nbytes: int = RECORD.itemsize

    def __call__(self, raw: Raw) -> np.ndarray:
        """The bytes of the picture's `RECORD`. Raises DataError."""
        return np.frombuffer(fingerprint(self.kind, raw).tobytes(), np.uint8)


def fingerprint_images(
    examples: Examples, keys: Sequence[str | None], reporter: Reporter | None = None
) -> Fingerprints:
    """Fingerprint every picture, each different content once, also where several processes do so at the same time.

    Args:
        examples: of a modality that has pictures.
        keys: content key of each example; rows without one are left out, their reason is known already.
        reporter: is told the progress.
    """
    search = _Search(examples, keys)
    rows = [row for some in _slices(search.missing(), _AT_ONCE) for row in search.recall(some)]
    while rows:
        search.look(rows, reporter or Quiet())
        rows = search.missing()
    return search.found()


class _Search:
    """Fingerprints found so far."""

    def __init__(self, examples: Examples, keys: Sequence[str | None]) -> None:
        self.kind = cast(HasPicture, modality_named(examples.schema.modality))
        self.examples, self.keys = examples, keys
        self.numbers = {key: number for number, key in enumerate(dict.fromkeys(filter(None, keys)))}
        self.records = np.zeros(len(self.numbers), RECORD)
        self.known = np.zeros(len(self.numbers), bool)
        self.reasons: dict[str, str] = {}
        self.changed: dict[int, str] = {}
        self.disk_cache = DiskCache(MEMO)

    def missing(self) -> list[int]:
        """A row of each picture that nothing is known of."""
        first: dict[str, int] = {}
        for row, key in enumerate(self.keys):
            if key is not None and not self.is_known(key) and row not in self.changed:
                first.setdefault(key, row)
        return list(first.values())

    def is_known(self, key: str) -> bool:
        """True where a picture has a record, or a reason for having none."""
        return bool(self.known[self.numbers[key]]) or key in self.reasons

    def recall(self, rows: Sequence[int]) -> list[int]:
        """Take what is remembered of the pictures in some rows; the rows of the others."""
        names = {str(self.keys[row]): row for row in rows}
        for name, value in self.disk_cache.get([name.encode() for name in names]).items():
            if len(value) == RECORD.itemsize:
                self._keep(name.decode(), value)
        return [row for name, row in names.items() if not self.is_known(name)]

    def look(self, rows: Sequence[int], reporter: Reporter) -> None:
        """Decode the pictures in some rows, unless another process does so just now."""
        with (
            reporter.counter(f"looking at {self.kind.unit}", len(rows), self.kind.unit) as advance,
            reading(FingerprintReader(self.kind), _CHUNK, len(rows), reporter) as read,
            ThreadPoolExecutor(cores()) as pool,
        ):
            for some in _slices(rows, _AT_ONCE):
                names = "".join(str(self.keys[row]) for row in some)
                with work_lock(f"{MEMO}-{hash_bytes(names.encode())}"):
                    self._decode(self.recall(some), read, pool)
                advance(len(some))

    def found(self) -> Fingerprints:
        """All of it."""
        number = [-1 if key is None else self.numbers[key] for key in self.keys]
        rows = [row for row, record in enumerate(number) if record >= 0 and self.known[record]]
        rows = [row for row in rows if row not in self.changed]
        failures = {row: self.reasons[key] for row, key in enumerate(self.keys) if key in self.reasons} | self.changed
        records = self.records if self.known.all() else self.records[self.known]
        place = np.cumsum(self.known) - 1
        return Fingerprints(np.array(rows, np.int64), place[np.array(number, np.int64)[rows]], records, failures)

    def _decode(self, rows: Sequence[int], read: Read, pool: ThreadPoolExecutor) -> None:
        new: dict[int, bytes] = {}
        why: dict[int, str] = {}
        chunks = _slices(rows, _CHUNK)
        for chunk, inputs in zip(chunks, pool.map(lambda chunk: read(raws_of(self.examples, chunk)), chunks)):
            readable = [row for position, row in enumerate(chunk) if position not in inputs.failures]
            new.update((row, array.tobytes()) for row, array in zip(readable, inputs.arrays))
            why.update((chunk[position], reason) for position, reason in inputs.failures.items())
        gone = changes(self.examples, self.keys, np.array(rows, np.int64))
        self.changed |= gone
        self.reasons |= {str(self.keys[row]): reason for row, reason in why.items() if row not in gone}
        sound = {str(self.keys[row]): value for row, value in new.items() if row not in gone}
        for name, value in sound.items():
            self._keep(name, value)
        self.disk_cache.put({name.encode(): value for name, value in sound.items()})

    def _keep(self, name: str, value: bytes) -> None:
        number = self.numbers[name]
        self.records[number] = np.frombuffer(value, RECORD)[0]
        self.known[number] = True


def _slices(rows: Sequence[int], size: int) -> list[Sequence[int]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def fingerprint(kind: HasPicture, raw: Raw) -> np.ndarray:
    """The `RECORD` of an input's picture, as an array of shape (). Raises DataError."""
    width, height = kind.size(raw)
    grey = kind.picture(raw, at_least=_DECODE_AT_LEAST).convert("L")
    cells = np.asarray(grey.resize((9, 8), Image.Resampling.BILINEAR))
    bits = np.packbits((cells[:, :-1] > cells[:, 1:]).ravel()[_BIT_ORDER])
    pixels = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    return np.array((width, height, bits.view("<u8")[0], pixels), RECORD)
