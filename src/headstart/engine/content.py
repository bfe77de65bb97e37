"""Content keys: a hash of each example's input, by which features and fingerprints are kept.

Hashes of files are memoised by path, size and time of change, so that a second look at the same files reads none.
Labels, splits and the order of rows are never part of a key.
"""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from headstart.contracts.examples import Examples, Raw
from headstart.engine.memo import Memo
from headstart.kernel.files import hash_bytes
from headstart.kernel.progress import Quiet, Reporter
from headstart.media.images import Crop

_SETTLED_NS = 2 * 10**9
"""A file changed less than this before it was hashed may change again within one tick of its clock."""
CHANGED = "has changed during the pass"
_CHUNK = 64
_THREADS = min(16, 4 * (os.cpu_count() or 1))


class ContentKeys(NamedTuple):
    """The keys of some examples, in their order."""

    keys: list[str | None]
    """32 hexadecimal digits each; None where the input cannot be read."""
    failures: dict[int, str]
    """Row -> why its input cannot be read, in words that follow the file's name."""


class _Stamp(NamedTuple):
    row: int
    path: Path
    size: int
    changed_ns: int

    def packed(self) -> bytes:
        return self.size.to_bytes(8, "little") + self.changed_ns.to_bytes(8, "little", signed=True)


def content_keys(examples: Examples, reporter: Reporter | None = None) -> ContentKeys:
    """The content key of every example: file bytes (image), texts, or 64-bit numbers (table)."""
    if examples.schema.modality == "image":
        return _image_keys(examples.raws(), reporter or Quiet())
    raws = examples.raws()
    if examples.schema.modality == "text":
        return ContentKeys([_text_key(raw if isinstance(raw, tuple) else (str(raw),)) for raw in raws], {})
    # adding zero turns -0.0 into 0.0, which is the same number with another bit
    return ContentKeys([hash_bytes(b"table", (np.asarray(raw, np.float64) + 0.0).tobytes()) for raw in raws], {})


def changes(examples: Examples, keys: Sequence[str | None], rows: np.ndarray) -> dict[int, str]:
    """Those of some rows whose files are no longer what `content_keys` found, and what became of them, in words.

    A file whose hash is remembered costs a look at its size and time of change, any other is read again.
    """
    if examples.schema.modality != "image":
        return {}
    files = [(int(row), raw) for row, raw in zip(rows, examples.raws(rows)) if not isinstance(raw, bytes)]
    now = _image_keys([path for _, path in files], Quiet())
    return {row: now.failures.get(at, CHANGED) for at, (row, _) in enumerate(files) if now.keys[at] != keys[row]}


def _text_key(texts: tuple[str, ...]) -> str:
    return hash_bytes(b"text", *(text.encode("utf-8", "surrogatepass") for text in texts))


def _image_keys(sources: Sequence[Raw], reporter: Reporter) -> ContentKeys:
    """Of whole pictures, and of parts by their pictures and places."""
    whole = _whole_keys([source.source if isinstance(source, Crop) else source for source in sources], reporter)
    keys = [
        hash_bytes(b"part", key.encode(), repr(tuple(source.box)).encode())
        if key is not None and isinstance(source, Crop)
        else key
        for key, source in zip(whole.keys, sources)
    ]
    return ContentKeys(keys, whole.failures)


def _whole_keys(sources: Sequence[Raw], reporter: Reporter) -> ContentKeys:
    keys: list[str | None] = [None] * len(sources)
    failures: dict[int, str] = {}
    stamps: list[_Stamp] = []
    for row, source in enumerate(sources):
        if isinstance(source, bytes):
            if source:
                keys[row] = _digest(io.BytesIO(source))
            else:
                failures[row] = "is empty (0 bytes)"
            continue
        stamp = _stamp(row, source)
        if isinstance(stamp, _Stamp):
            stamps.append(stamp)
        else:
            failures[row] = stamp
    for row, answer in _file_keys(stamps, reporter):
        if answer.reason:
            failures[row] = answer.reason
        else:
            keys[row] = answer.key
    return ContentKeys(keys, failures)


def _stamp(row: int, source: Raw) -> _Stamp | str:
    path = Path(os.path.abspath(str(source)))
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        return _reason(error)
    if status.st_size == 0:
        return "is empty (0 bytes)"
    return _Stamp(row, path, status.st_size, status.st_mtime_ns)


class _Answer(NamedTuple):
    key: str = ""
    reason: str = ""


def _file_keys(stamps: Sequence[_Stamp], reporter: Reporter) -> Iterator[tuple[int, _Answer]]:
    memo = Memo("file-hashes-1")
    known = memo.get([os.fsencode(stamp.path) for stamp in stamps])
    missing: list[_Stamp] = []
    for stamp in stamps:
        kept = known.get(os.fsencode(stamp.path))
        if kept is not None and kept[:16] == stamp.packed():
            yield stamp.row, _Answer(key=kept[16:].hex())
        else:
            missing.append(stamp)
    if not missing:
        return
    new: dict[bytes, bytes] = {}
    with reporter.counter("reading files", len(missing), "files") as advance:
        answers = _in_threads(missing, advance)
    for stamp, answer in zip(missing, answers):
        if answer.key and stamp.changed_ns < time.time_ns() - _SETTLED_NS:
            new[os.fsencode(stamp.path)] = stamp.packed() + bytes.fromhex(answer.key)
        yield stamp.row, answer
    memo.put(new)


def _in_threads(stamps: Sequence[_Stamp], advance: Callable[[int], None]) -> list[_Answer]:
    chunks = [stamps[start : start + _CHUNK] for start in range(0, len(stamps), _CHUNK)]
    answers: list[_Answer] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for some in pool.map(lambda chunk: [_file_key(stamp.path) for stamp in chunk], chunks):
            answers += some
            advance(len(some))
    return answers


def _file_key(path: Path) -> _Answer:
    try:
        with open(path, "rb") as file:
            return _Answer(key=_digest(file))
    except OSError as error:
        return _Answer(reason=_reason(error))


def _digest(file: io.BufferedReader | io.BytesIO) -> str:
    return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16, person=b"image")).hexdigest()


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "is missing"
    return f"cannot be read: {getattr(error, 'strerror', None) or error}"
