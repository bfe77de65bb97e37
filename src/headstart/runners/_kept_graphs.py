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
"""Of all kept graphs together."""

DIGEST = 32


class Graph(NamedTuple):
    """A compiled graph."""

    signature: Signature
    compiled: bytes


def kept(name: str) -> Graph | None:
    """The graph that is kept under a name; None where there is none, or it is damaged."""
    path = _path(name)
    try:
        content = path.read_bytes()
        os.utime(path)
    except OSError:
        return None
    digest, body = content[:DIGEST], content[DIGEST:]
    if digest != hash_bytes(body).encode():
        return None
    size = int.from_bytes(body[:8], "little")
    described = json.loads(body[8 : 8 + size])
    return Graph(Signature(**{key: tuple(value) for key, value in described.items()}), body[8 + size :])


def keep(name: str, graph: Graph) -> None:
    """Keep a graph; where the disk does not take it, it will be compiled again next time."""
    described = json.dumps(asdict(graph.signature)).encode()
    body = len(described).to_bytes(8, "little") + described + graph.compiled
    with suppress(HeadstartError, OSError):
        write_atomic(_path(name), hash_bytes(body).encode() + body)
        _evict()


def _path(name: str) -> Path:
    return cache_folder() / "graphs" / f"{hash_bytes(name.encode())}{SUFFIX}"


def _evict() -> None:
    files = [(path.stat(), path) for path in (cache_folder() / "graphs").glob(f"*{SUFFIX}")]
    total = sum(status.st_size for status, _ in files)
    for status, path in sorted(files, key=lambda file: file[0].st_mtime):
        if total <= MOST_BYTES:
            return
        path.unlink(missing_ok=True)
        total -= status.st_size
