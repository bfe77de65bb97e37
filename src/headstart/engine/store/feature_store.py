"""Feature store: what frozen passes have computed, on disk, one entry per example, under a limit of size.

One folder per space below the cache folder, with a `space.json` that says what it is and its shards. Labels, splits
and row order are no part of it, so a corrected label, a new file or a subset uses everything again. The shards least
recently used are evicted first; one used within the last minutes, by whatever process, stays.
"""

from __future__ import annotations

import os
import re
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from headstart.engine.store.claims import FOLDER, in_progress_since
from headstart.engine.store.shard import DamagedShardError, Shard
from headstart.engine.store.size_limit import Limit, limit_in_force
from headstart.engine.store.space import SUFFIX, Space
from headstart.kernel.errors import HeadstartError
from headstart.kernel.files import delete, hash_json, read_json
from headstart.kernel.folders import cache_folder
from headstart.kernel.progress import Quiet, Reporter

FORMAT_NUMBER = 1
"""Part of every key: rises when stored entries change their meaning."""

IN_USE_SECONDS = 600.0
"""A shard used so recently may be in use by another process."""

STALE_SECONDS = 3600.0
"""A temporary file so old belongs to a process that was killed."""

DESCRIPTION = "space.json"
MARKS = (DESCRIPTION, FOLDER)
"""Either, or a shard, shows that a folder is a space; the claims of a process may be there first."""
NAME = re.compile(r"[0-9a-f]{32}")
"""Of a space's folder: the hash of its key."""


@dataclass(frozen=True)
class Entry:
    """One space, for people."""

    folder: Path
    about: Mapping[str, Any]
    """Its space.json: {"of": backbone, "key": what names the space}; empty where that cannot be read."""
    shards: int
    damaged: int
    """Shards whose head cannot be read; they are computed again when they are wanted."""
    examples: int
    """Entries; one that several processes computed at once counts for each."""
    bytes: int
    last_used: float
    """Seconds since 1970."""


class FeatureStore:
    """The spaces below one folder."""

    def __init__(
        self,
        root: Path | None = None,
        limit: int | None = None,
        *,
        flush_seconds: float = 5.0,
    ) -> None:
        """Open the store; nothing is written until there is something to keep.

        Args:
            root: its folder; `features` in the cache folder without one.
            limit: bytes, 0 to keep everything in memory. Without one what `limit_in_force` finds.
            flush_seconds: the most work, in seconds, that a killed process loses; with 0 no batch waits.

        Raises:
            SettingsError: `HEADSTART_CACHE_LIMIT` is not a size.
        """
        self.root = root if root is not None else cache_folder() / "features"
        self.limit, self.limit_origin = (
            limit_in_force(self.root, self.size()) if limit is None else Limit(limit, "caller")
        )
        self.flush_seconds = flush_seconds
        self._warned: set[str] = set()
        self._spaces: weakref.WeakSet[Space] = weakref.WeakSet()

    def space(
        self, key: Mapping[str, Any], *, of: str = "", bfloat16: bool = False, reporter: Reporter | None = None
    ) -> Space:
        """The entries of one frozen pass.

        Args:
            key: everything that decides a stored value beside the input's content, as JSON values.
            of: the backbone's name, for people.
            bfloat16: store float32 values with 16 bits, as the runner's precision is no better.
            reporter: is told once of each thing that goes wrong; the pass goes on in any case.
        """
        key = {**key, "format": FORMAT_NUMBER}
        warn = partial(self._warn, reporter or Quiet())
        space = Space(
            self.root / hash_json(key) if self.limit else None,
            {"of": of, "key": key},
            bfloat16=bfloat16,
            flush_seconds=self.flush_seconds,
            written=partial(self.evict, reporter),
            warn=warn,
        )
        self._spaces.add(space)
        return space

    def size(self) -> int:
        """Bytes on disk."""
        return sum(size for _, size, _ in self._shards())

    def entries(self) -> list[Entry]:
        """Every space, last used first. To look at them is no use of them."""
        return sorted(map(_entry, self._own()), key=lambda entry: entry.last_used, reverse=True)

    def clear(self) -> list[HeadstartError]:
        """Delete every space, whole; returns why some could not be deleted.

        Work in progress in other processes is computed again.
        """
        faults = []
        for folder in self._own():
            try:
                delete(folder)
            except HeadstartError as error:
                faults.append(error)
        return faults

    def evict(self, reporter: Reporter | None = None) -> None:
        """Delete the shards least recently used until the store is within its limit; say so where it cannot be."""
        shards = sorted(self._shards(), key=lambda shard: shard[2])
        total = sum(size for _, size, _ in shards)
        if total <= self.limit:
            return
        now, own = time.time(), set().union(*(space.in_use() for space in self._spaces))
        for folder in self._folders():
            for path, _, changed in _files(folder, ".part"):
                if now - changed > STALE_SECONDS:
                    with suppress(OSError):  # another user's, in a cache that is shared
                        path.unlink()
        # what a pass in progress has stored or found belongs to it, however long it takes
        began = {folder: min(in_progress_since(folder), now - IN_USE_SECONDS) for folder in self._folders()}
        for path, size, used in shards:
            if total <= self.limit:
                return
            # a time far in the future comes from a wrong clock and protects nothing
            if path in own or began.get(path.parent, now) <= used < now + IN_USE_SECONDS:
                continue
            with suppress(OSError):
                path.unlink(missing_ok=True)
                total -= size
        if total > self.limit:
            self._warn(
                reporter or Quiet(),
                "limit",
                f"The feature store holds {total / 1e9:.2f} GB, more than its limit of {self.limit / 1e9:.2f} GB, as "
                "all of it is in use. HEADSTART_CACHE_LIMIT or `headstart cache --limit 50GB` allows it more.",
            )

    def _warn(self, reporter: Reporter, kind: str, sentence: str) -> None:
        if kind not in self._warned:
            self._warned.add(kind)
            reporter.say(sentence)

    def _shards(self) -> Iterator[tuple[Path, int, float]]:
        return (shard for folder in self._folders() for shard in _files(folder, SUFFIX))

    def _folders(self) -> list[Path]:
        try:
            with os.scandir(self.root) as found:
                return [Path(entry.path) for entry in found if NAME.fullmatch(entry.name) and entry.is_dir()]
        except OSError:
            return []

    def _own(self) -> list[Path]:
        """The folders that hold what a space holds: others of such a name are not ours to delete."""
        return [folder for folder in self._folders() if _is_space(folder)]


def _is_space(folder: Path) -> bool:
    return any((folder / mark).exists() for mark in MARKS) or any(_files(folder, SUFFIX))


def _entry(folder: Path) -> Entry:
    shards = list(_files(folder, SUFFIX))
    examples = [_examples(path) for path, _, _ in shards]
    return Entry(
        folder,
        _about(folder),
        shards=len(shards),
        damaged=examples.count(None),
        examples=sum(count or 0 for count in examples),
        bytes=sum(size for _, size, _ in shards),
        last_used=max((used for _, _, used in shards), default=0.0),
    )


def _examples(path: Path) -> int | None:
    """Return how many a shard holds; None for a damaged one."""
    try:
        return Shard.open(path).examples
    except DamagedShardError:
        return None
    except OSError:  # gone meanwhile, or not ours to read
        return 0


def _about(folder: Path) -> Mapping[str, Any]:
    try:
        found = read_json(folder / DESCRIPTION)
    except (HeadstartError, OSError):
        return {}
    return found if isinstance(found, dict) else {}


def _files(folder: Path, suffix: str) -> Iterator[tuple[Path, int, float]]:
    """(path, bytes, time of last use) of a folder's files with that suffix; what goes meanwhile is left out."""
    with suppress(OSError), os.scandir(folder) as found:
        for entry in found:
            if entry.name.endswith(suffix):
                with suppress(OSError):
                    status = entry.stat()
                    yield Path(entry.path), status.st_size, status.st_mtime
