"""The cache folder: its contents as `cache` returns them and `--json` prints them, and deleting what is Headstart's.

A user may have pointed `HEADSTART_CACHE` at a folder with other things in it: what does not bear a name that Headstart
gives is neither counted nor deleted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from headstart.engine.store.feature_store import Entry, FeatureStore
from headstart.engine.store.size_limit import Origin
from headstart.kernel.errors import HeadstartError
from headstart.kernel.files import delete
from headstart.kernel.settings import Settings

FEATURES = "features"
HASH = "[0-9a-f]{16,}"
PARTS = {
    "memo": (
        "hashes and fingerprints of files, and item factors",
        re.compile(rf"[a-z-]+-\d+(-{HASH})?\.(lock|sqlite(-wal|-shm|-journal)?)"),
    ),
    "boundaries": ("where backbones can be cut", re.compile(rf"{HASH}\.json")),
    "graphs": ("compiled graphs", re.compile(rf"{HASH}(\..*)?")),
}
"""Folder beside the features -> its purpose, and the names of what is Headstart's in it."""
UNFINISHED = re.compile(r"\..+\.\d+\.[0-9a-f]{8}\.part")
"""A file that a process is writing, or was when it was killed, as `atomic_path` names it."""
KINDS = {
    "pooled": "pooled features",
    "tokens": "pooled features and token vectors",
    "maps": "pooled features and maps",
    "features": "all features",
    "state": "the state",
}
"""Features that a frozen pass keeps -> their description."""


class Stored(Settings):
    """The entries of one frozen pass."""

    backbone: str
    """Its name; empty where the description cannot be read."""
    purpose: str
    """Description of what is stored."""
    examples: int
    bytes: int
    last_used: float
    """Seconds since 1970."""
    damaged: int
    """Files that are damaged; what they held is computed again when it is wanted."""
    folder: str


class Part(Settings):
    """Another folder of the cache."""

    name: str
    purpose: str
    """In words."""
    bytes: int


class Cache(Settings):
    """Contents of the cache folder."""

    folder: str
    bytes: int
    """All of it."""
    features: int
    """Bytes of stored features, to which the limit applies."""
    limit: int
    """Bytes of features at most; 0 where none are stored."""
    limit_origin: Origin
    """Origin of the limit: 'environment' (`HEADSTART_CACHE_LIMIT`), 'kept' (an earlier `limit`), or 'default'."""
    stored: tuple[Stored, ...] = ()
    """Last used first."""
    parts: tuple[Part, ...] = ()
    """Other folders beside the features."""
    freed: int | None = None
    """Bytes that `clear` or `limit` has freed."""
    notes: tuple[str, ...] = ()
    """Remarks for the user."""


def contents(folder: Path, freed: int | None = None, notes: Sequence[str] = ()) -> Cache:
    """List the contents of a cache folder."""
    store = FeatureStore(folder / FEATURES)
    sizes = {part: sum(map(_size, own(folder, part))) for part in PARTS}
    return Cache(
        folder=str(folder),
        bytes=store.size() + sum(sizes.values()),
        features=store.size(),
        limit=store.limit,
        limit_origin=store.limit_origin,
        stored=tuple(_stored(entry) for entry in store.entries() if entry.shards),
        parts=tuple(Part(name=part, purpose=PARTS[part][0], bytes=held) for part, held in sizes.items() if held),
        freed=freed,
        notes=tuple(notes),
    )


def own(folder: Path, part: str) -> list[Path]:
    """Headstart's own files in a part of the cache folder other than the features; none where that is missing."""
    known = PARTS[part][1]
    try:
        found = sorted(os.listdir(folder / part))
    except OSError:
        return []
    return [folder / part / name for name in found if known.fullmatch(name) or UNFINISHED.fullmatch(name)]


def delete_all(folder: Path) -> list[HeadstartError]:
    """Delete everything that is Headstart's, and folders that are empty then; what could not be deleted, and why."""
    faults = FeatureStore(folder / FEATURES).clear()
    for path in (path for part in PARTS for path in own(folder, part)):
        try:
            delete(path)
        except HeadstartError as error:
            faults.append(error)
    for part in (FEATURES, *PARTS):
        with suppress(OSError):  # a folder with something else in it stays
            (folder / part).rmdir()
    return faults


def _stored(entry: Entry) -> Stored:
    try:
        name, purpose = entry.about["of"] + "", _purpose(entry.about["key"])
    except (KeyError, TypeError, AttributeError):
        name, purpose = "", f"{entry.folder.name}: what it holds cannot be read"
    return Stored(
        backbone=name,
        purpose=purpose,
        examples=entry.examples,
        bytes=entry.bytes,
        last_used=entry.last_used,
        damaged=entry.damaged,
        folder=str(entry.folder),
    )


def _purpose(key: dict[str, object]) -> str:
    """'pooled features at layer4, augmented view 3; openvino, bfloat16'. Raises KeyError and the like as it may be."""
    view = "" if key.get("view_seed") is None else f", augmented view {key['view_seed']}"
    runner = key.get("runner")
    made = f"; {runner['plugin']}, {key['precision']}" if isinstance(runner, dict) else ""
    return f"{KINDS.get(str(key['keep']), key['keep'])} at {key['stop']}{view}{made}"


def _size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    inside = (Path(place) / name for place, _, names in os.walk(path) for name in names)
    total = 0
    for file in (path, *inside):
        with suppress(OSError):  # gone meanwhile
            total += 0 if file.is_dir() else file.lstat().st_size
    return total
