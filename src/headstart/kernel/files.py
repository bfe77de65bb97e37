"""Files and folders written whole or not at all, and hashes of what is in them."""

from __future__ import annotations

import hashlib
import json
import math
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from headstart.kernel.documents import parse_json
from headstart.kernel.errors import HeadstartError
from headstart.kernel.regular import read_regular

PART = ".part"
"""How the names of files end that are being written; they begin with a dot."""

LONGEST_NAME = 255
"""Bytes that a file's name may have on most file systems."""


def fitting(name: str, spare: int = 60) -> str:
    """A file's name as it is where there are `spare` bytes left for an ending; else cut, with its hash at the end."""
    encoded = name.encode(errors="surrogateescape")
    if len(encoded) <= LONGEST_NAME - spare:
        return name
    return f"{encoded[: LONGEST_NAME - spare - 17].decode(errors='ignore')}-{hash_bytes(encoded, size=8)}"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; it becomes `path` when the block succeeds and goes when it fails.

    Raises:
        HeadstartError: the disk is full or the folder cannot be written; the old file stays as it was.
    """
    temporary = _unfinished(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch()  # what cannot be written is known before anything is computed
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise HeadstartError(f"cannot write {path}: {error.strerror or error}. Nothing was changed.") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, may_replace: Callable[[], None]) -> Iterator[Path]:
    """A new folder beside `path` to write to; it takes the place of `path` when the block succeeds, unless it is empty.

    Args:
        path: the folder. may_replace: called once more before what lies there is deleted; raises where it must stay.

    Raises:
        HeadstartError: it cannot be written; the old folder stays as it was.
    """
    temporary, old = _unfinished(path), _unfinished(path)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if any(temporary.iterdir()):
            may_replace()
            if os.path.lexists(path):
                os.rename(path, old)
            os.rename(temporary, path)
    except OSError as error:
        raise HeadstartError(f"cannot write {path}: {error.strerror or error}. Nothing was changed.") from error
    finally:
        if old.exists() and not os.path.lexists(path):  # stopped between the two
            os.rename(old, path)
        for leftover in (temporary, old):
            shutil.rmtree(leftover, ignore_errors=True)


def _unfinished(path: Path) -> Path:
    """A name beside `path` for what is not whole yet."""
    return path.with_name(f".{fitting(path.name)}.{os.getpid()}.{secrets.token_hex(4)}{PART}")


def write_atomic(path: Path, content: bytes | memoryview) -> None:
    """Write `content` to `path` so that a reader sees the old file or the new one, never a part.

    Raises:
        HeadstartError: as `atomic_path`.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def delete_parts(folder: Path) -> None:
    """Delete what killed processes had begun to write below a folder, as far as the disk allows."""
    for path in folder.rglob(f".*{PART}"):
        with suppress(OSError):
            path.unlink()


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically; a number that is not finite becomes null, as JSON has none."""
    text = json.dumps(_finite(value), indent=1, ensure_ascii=False, allow_nan=False)
    write_atomic(path, (text + "\n").encode())


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        HeadstartError: the file is missing, out of reach, no regular file or no JSON.
    """
    try:
        return parse_json(read_regular(path))
    except FileNotFoundError as error:
        raise HeadstartError(f"{path} is missing") from error
    except OSError as error:
        raise HeadstartError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise HeadstartError(f"{path} is damaged: it is not JSON ({error})") from error


def delete(path: Path) -> None:
    """Delete a file, a link (never what it leads to) or a whole folder; what is gone already is no fault.

    Raises:
        HeadstartError: it cannot be deleted, or not all of it.
    """
    try:
        if path.is_symlink() or not path.is_dir():
            path.unlink(missing_ok=True)
            return
        shutil.rmtree(path, ignore_errors=True)  # another process may add or delete something meanwhile
        if path.exists():
            shutil.rmtree(path)
    except OSError as error:
        raise HeadstartError(f"cannot delete {path}: {error.strerror or error}") from error


def hash_bytes(*parts: bytes | memoryview, size: int = 16) -> str:
    """Hex blake2b of the parts, each preceded by its length so that parts cannot run together."""
    digest = hashlib.blake2b(digest_size=size)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def hash_json(value: Any) -> str:
    """Hash of a JSON-able value, independent of the order of its keys."""
    return hash_bytes(json.dumps(value, sort_keys=True, default=str).encode())
