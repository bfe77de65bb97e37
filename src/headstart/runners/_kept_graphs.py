"""Compiled graphs on disk: one file each in `graphs` of the cache folder, the least recently used going first."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from headstart.kernel.errors import HeadstartError
from headstart.kernel.files import hash_bytes, write_atomic
from headstart.kernel.folders import cache_folder
from headstart.runners._flat import Signature

SUFFIX = ".graph"
MOST_BYTES = 2_000_000_000
"""Of all kept graphs together; a larger one is not kept."""

DIGEST = 32
HEAD = 8
"""Bytes that say how long the description is."""


class Graph(NamedTuple):
    """A compiled graph."""

    signature: Signature
    compiled: bytes


def kept(name: str) -> Graph | None:
    """The graph that is kept under a name; None where there is none, or it is damaged or foreign."""
    path = _path(name)
    try:
        content = path.read_bytes()
    except OSError:
        return None
    with suppress(OSError):  # a read-only cache
        os.utime(path)
    digest, body = content[:DIGEST], content[DIGEST:]
    if digest != hash_bytes(body).encode():
        return None
    end = HEAD + int.from_bytes(body[:HEAD], "little")
    try:
        described = json.loads(body[HEAD:end])
        return Graph(Signature(**{key: tuple(value) for key, value in described.items()}), body[end:])
    except (ValueError, TypeError, AttributeError):  # of another version
        return None


def keep(name: str, graph: Graph) -> None:
    """Keep a graph; where the disk does not take it, it will be compiled again next time."""
    described = json.dumps(asdict(graph.signature)).encode()
    body = len(described).to_bytes(HEAD, "little") + described + graph.compiled
    if len(body) > MOST_BYTES:
        return
    with suppress(HeadstartError, OSError):
        write_atomic(_path(name), hash_bytes(body).encode() + body)
        _evict()


def _path(name: str) -> Path:
    return cache_folder() / "graphs" / f"{hash_bytes(name.encode())}{SUFFIX}"


def _evict() -> None:
    files = [(path.stat(), path) for path in (cache_folder() / "graphs").glob(f"*{SUFFIX}")]
    total = sum(status.st_size for status, _ in files)
    for status, path in sorted(files, key=lambda file: file[0].st_mtime_ns):
        if total <= MOST_BYTES:
            return
        path.unlink(missing_ok=True)
        total -= status.st_size
