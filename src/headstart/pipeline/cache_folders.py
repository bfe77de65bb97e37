"""The parts of the cache folder, and what in them is Headstart's.

A user may have pointed `HEADSTART_CACHE` at a folder with other things in it: what does not bear a name that Headstart
gives is neither counted nor deleted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from headstart.engine.store.size_limit import KEPT

FEATURES = "features"
HASH = "[0-9a-f]{16,}"
PARTS = {
    "memo": (
        "hashes and fingerprints of files",
        re.compile(rf"[a-z-]+-\d+(-{HASH})?\.(lock|sqlite(-wal|-shm|-journal)?)"),
    ),
    "boundaries": ("where backbones can be cut", re.compile(rf"{HASH}\.json")),
    "graphs": ("compiled graphs", re.compile(rf"{HASH}(\..*)?")),
}
"""Folder beside the features -> its purpose, and the names of Headstart's files in it."""
UNFINISHED = re.compile(r"\..+\.\d+\.[0-9a-f]{8}\.part")
"""A file that a process is writing, or was when it was killed, as `atomic_path` names it."""


def own(folder: Path, part: str) -> list[Path]:
    """What is Headstart's in a part of the cache folder other than the features."""
    known = PARTS[part][1]
    found = _names(folder / part)
    return [folder / part / name for name in found if known.fullmatch(name) or UNFINISHED.fullmatch(name)]


def foreign(folder: Path, spaces: Collection[Path]) -> Iterator[str]:
    """What is not Headstart's, as paths within the folder; `spaces` are the features' own folders."""
    yield from (name for name in _names(folder) if name not in (FEATURES, *PARTS))
    for name in _names(folder / FEATURES):
        if folder / FEATURES / name not in spaces and name != KEPT and not UNFINISHED.fullmatch(name):
            yield f"{FEATURES}/{name}"
    for part in PARTS:
        known = own(folder, part)
        yield from (f"{part}/{name}" for name in _names(folder / part) if folder / part / name not in known)


def size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    inside = (Path(place) / name for place, _, names in os.walk(path) for name in names)
    total = 0
    for file in (path, *inside):
        with suppress(OSError):  # gone meanwhile
            total += 0 if file.is_dir() else file.lstat().st_size
    return total


def _names(folder: Path) -> list[str]:
    """Sorted; none where there is no such folder."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []
