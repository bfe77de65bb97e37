"""Content keys: a hash of each example's input, by which features and fingerprints are kept.

Hashes of files are memoised by path, size and time of change, so that a second look at the same files reads none.
Labels, splits and the order of rows are never part of a key.
"""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from headstart.contracts.examples import Examples, Raw
from headstart.contracts.modality import InFiles, modality_named, raws_of
from headstart.engine.frozen.disk_cache import DiskCache
from headstart.engine.frozen.work_locks import work_lock
from headstart.kernel.files import hash_bytes
from headstart.kernel.progress import Quiet, Reporter
from headstart.kernel.regular import open_regular, require_regular

MEMO = "file-hashes-2"
AT_ONCE = 4096
"""Examples looked at together, so that beside their keys nothing grows with the data."""
CHANGED = "has changed during the pass"
_SETTLED_NS = 2 * 10**9
"""A file changed less than this before it was hashed may change again within one tick of its clock."""
_CHUNK = 64
_THREADS = min(16, 4 * (os.cpu_count() or 1))


class ContentKeys(NamedTuple):
    """The keys of some examples, in their order."""

    keys: list[str | None]
    """32 hexadecimal digits each; None where the input cannot be read."""
    failures: dict[int, str]
    """Row -> why its input cannot be read, in words that follow the file's name."""


class _Stamp(NamedTuple):
    position: int
    """Of its source among others."""
    path: Path
    size: int
    changed_ns: int

    def packed(self) -> bytes:
        return self.size.to_bytes(8, "little") + self.changed_ns.to_bytes(8, "little", signed=True)


class _Answer(NamedTuple):
    key: str = ""
    reason: str = ""


def content_keys(examples: Examples, reporter: Reporter | None = None) -> ContentKeys:
    """The content key of every example, as its modality makes it.

    Where several processes ask for the same at the same time one reads the files, and the others wait for it.
    """
    kind = modality_named(examples.schema.modality)
    found = ContentKeys([], {})
    unread: list[int] = []
    for start in range(0, len(examples), AT_ONCE):
        raws = raws_of(examples, range(start, min(start + AT_ONCE, len(examples))))
        if isinstance(kind, InFiles):
            some, missing = _known(kind, raws)
            found.keys.extend(some.keys)
            found.failures.update((start + position, reason) for position, reason in some.failures.items())
            unread.extend(start + stamp.position for stamp in missing)
        else:
            found.keys.extend(kind.key(raw, "") for raw in raws)
    if unread and isinstance(kind, InFiles):
        with (reporter or Quiet()).counter("reading files", len(unread), "files") as advance:
            for start in range(0, len(unread), AT_ONCE):
                _fill_in(found, kind, examples, unread[start : start + AT_ONCE], advance)
    return found


def changes(examples: Examples, keys: Sequence[str | None], rows: np.ndarray) -> dict[int, str]:
    """Return the rows whose files have changed since `content_keys` read them, and what became of each.

    A file whose hash is remembered costs a look at its size and time of change, any other is read again.
    """
    kind = modality_named(examples.schema.modality)
    if not isinstance(kind, InFiles):
        return {}
    files = [(int(row), raw) for row, raw in zip(rows, raws_of(examples, rows)) if not isinstance(raw, bytes)]
    now = _read(kind, [raw for _, raw in files])
    return {row: now.failures.get(at, CHANGED) for at, (row, _) in enumerate(files) if now.keys[at] != keys[row]}


def _fill_in(
    found: ContentKeys, kind: InFiles, examples: Examples, rows: Sequence[int], advance: Callable[[int], None]
) -> None:
    """Add the keys of rows whose files are to be read."""
    sources = raws_of(examples, rows)
    with work_lock(f"{MEMO}-{hash_bytes(repr(sources).encode())}"):
        now = _read(kind, sources, advance)
    for position, row in enumerate(rows):
        found.keys[row] = now.keys[position]
        if position in now.failures:
            found.failures[row] = now.failures[position]


def _known(kind: InFiles, raws: Sequence[Raw]) -> tuple[ContentKeys, list[_Stamp]]:
    """The keys of inputs that lie in memory or whose hashes are remembered; and the files that are to be read."""
    found, stamps, missing = ContentKeys([None] * len(raws), {}), list[_Stamp](), list[_Stamp]()
    for position, raw in enumerate(raws):
        source = kind.source(raw)
        if isinstance(source, bytes) and source:
            found.keys[position] = kind.key(raw, _digest(io.BytesIO(source)))
        elif isinstance(stamp := _stamp(position, source), _Stamp):
            stamps.append(stamp)
        else:
            found.failures[position] = stamp
    hashes = DiskCache(MEMO).get([os.fsencode(stamp.path) for stamp in stamps])
    for stamp in stamps:
        kept = hashes.get(os.fsencode(stamp.path), b"")
        if kept[:16] == stamp.packed():
            found.keys[stamp.position] = kind.key(raws[stamp.position], kept[16:].hex())
        else:
            missing.append(stamp)
    return found, missing


def _read(kind: InFiles, raws: Sequence[Raw], advance: Callable[[int], None] = lambda _: None) -> ContentKeys:
    """The keys of inputs in files; files whose hashes are not remembered are read."""
    found, missing = _known(kind, raws)
    advance(len(raws) - len(missing))
    new: dict[bytes, bytes] = {}
    for stamp, answer in zip(missing, _in_threads(missing, advance)):
        if answer.reason:
            found.failures[stamp.position] = answer.reason
            continue
        found.keys[stamp.position] = kind.key(raws[stamp.position], answer.key)
        if stamp.changed_ns < time.time_ns() - _SETTLED_NS:
            new[os.fsencode(stamp.path)] = stamp.packed() + bytes.fromhex(answer.key)
    DiskCache(MEMO).put(new)
    return found


def _stamp(position: int, source: Path | bytes) -> _Stamp | str:
    """Return the stamp that changes with a file, or why there is nothing to read."""
    if source == b"":
        return "is empty (0 bytes)"
    path = Path(os.path.abspath(str(source)))
    try:
        status = require_regular(path)
    except (OSError, ValueError) as error:
        return _reason(error)
    if status.st_size == 0:
        return "is empty (0 bytes)"
    return _Stamp(position, path, status.st_size, status.st_mtime_ns)


def _in_threads(stamps: Sequence[_Stamp], advance: Callable[[int], None]) -> list[_Answer]:
    if not stamps:
        return []
    chunks = [stamps[start : start + _CHUNK] for start in range(0, len(stamps), _CHUNK)]
    answers: list[_Answer] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for some in pool.map(lambda chunk: [_file_key(stamp.path) for stamp in chunk], chunks):
            answers += some
            advance(len(some))
    return answers


def _file_key(path: Path) -> _Answer:
    try:
        with open_regular(path) as file:
            return _Answer(key=_digest(file))
    except OSError as error:
        return _Answer(reason=_reason(error))


def _digest(file: io.BufferedReader | io.BytesIO) -> str:
    # the same for every modality: another personalisation would invalidate the cached features of images
    return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16, person=b"image")).hexdigest()


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "is missing"
    return f"cannot be read: {getattr(error, 'strerror', None) or error}"
