"""Space: the stored entries of one frozen pass, keyed by the content of the input.

A space is a folder of shards. It belongs to one set of weights, preprocessing, boundary, taps and runner, so that
within it the content hash alone names an entry. Several processes may fill it at once: shards have names of their own,
and an entry that was computed twice does no harm.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headstart.engine.store.columns import Column, concatenated, kind_of, values_of
from headstart.engine.store.gathering import gathered
from headstart.engine.store.key_index import KeyIndex, Located, key_bytes
from headstart.engine.store.shard import DamagedShardError, Shard, encode
from headstart.kernel.errors import HeadstartError, StoreError
from headstart.kernel.files import write_atomic, write_json
from headstart.kernel.processor import cores

SUFFIX = ".shard"
SHARD_BYTES = 32 << 20
"""A shard is written when it has reached this size."""

OPEN_SHARDS = 128
"""Mapped at once: each holds a file handle."""

LOST_SHARE, MOST_LOST_SECONDS = 0.05, 60.0
"""A process that is killed loses at most this share of a long pass's work, and at most so many seconds of it."""


@dataclass
class _Known:
    """A shard that this process has seen. Its place in the space's list is its number."""

    keys: np.ndarray
    path: Path | None
    """None for one that could not be written and is kept in memory."""
    sound: bool
    """Its checksum held in this process."""


class Space:
    """The entries of one frozen pass. Made by `FeatureStore.space`."""

    def __init__(
        self,
        folder: Path | None,
        about: Mapping[str, Any],
        *,
        bfloat16: bool,
        flush_seconds: float,
        written: Callable[[], None],
        warn: Callable[[str, str], None],
    ) -> None:
        """Entries of `folder` (in memory only with None); `about` goes into its space.json.

        Args:
            bfloat16: store float32 values with 16 bits.
            flush_seconds: an append that comes so long after the last write writes a shard; with 0 each one does.
            written: called after each shard that reached the disk.
            warn: takes (kind, sentence) and says one sentence per kind.
        """
        self.folder = folder
        self._about, self._bfloat16, self._flush_seconds = about, bfloat16, flush_seconds
        self._written, self._warn = written, warn
        self._known: list[_Known | None] = []
        self._names: dict[str, int] = {}
        self._index: KeyIndex | None = None
        self._open: OrderedDict[int, Shard] = OrderedDict()
        self._in_memory: dict[int, Shard] = {}
        self._waiting: list[tuple[np.ndarray, Mapping[str, Column]]] = []
        self._waiting_bytes = 0
        self._began = self._flushed = time.monotonic()
        self._opening = threading.Lock()

    def lookup(self, keys: Sequence[str]) -> Located:
        """Where the entries of `keys` (32 hex digits each) lie, among all that is written by now, by whatever process.

        A shard that holds one of them has its checksum verified; a damaged one is deleted and its entries count as
        missing.
        """
        self._refresh()
        wanted = key_bytes(keys)
        while True:
            if self._index is None:
                self._index = KeyIndex([(number, known.keys) for number, known in self._present()])
            located = self._index.find(wanted)
            if self._all_sound(np.unique(located.shard[located.found]).tolist()):
                return located

    def read(self, keys: Sequence[str]) -> dict[str, Column]:
        """Every field of the entries. Raises StoreError where one is missing."""
        located = self.lookup(keys)
        if not len(keys):
            return {}
        self._refuse_missing(located)
        return {name: self.gather(located, name) for name in self._shard(int(located.shard[0])).names}

    def gather(self, located: Located, name: str) -> Column:
        """One field of located entries, in their order, copied out of the shards.

        Raises:
            StoreError: an entry is missing, or is gone since it was located; or their shapes differ.
        """
        if not len(located.position):
            return np.empty((0, 0), np.float32)
        self._refuse_missing(located)
        return gathered(self._shard, located, name)

    def names(self, located: Located) -> tuple[str, ...]:
        """The fields of located entries; none where there are no entries."""
        return self._shard(int(located.shard[0])).names if len(located.position) else ()

    def append(self, keys: Sequence[str], fields: Mapping[str, Column]) -> None:
        """Add entries; each field has one value per key. They can be found once they are flushed."""
        if self._waiting and _kinds(self._waiting[-1][1]) != _kinds(fields):
            self.flush()
        self._waiting.append((key_bytes(keys), fields))
        self._waiting_bytes += sum(values_of(column).nbytes for column in fields.values())
        now = time.monotonic()
        patience = max(self._flush_seconds, min((now - self._began) * LOST_SHARE, MOST_LOST_SECONDS))
        late = now - self._flushed >= patience or not self._flush_seconds
        if late or self._waiting_bytes >= SHARD_BYTES:
            self.flush()

    @property
    def waiting(self) -> bool:
        """Return whether entries were appended that are not flushed yet."""
        return bool(self._waiting)

    def flush(self) -> None:
        """Write what waits as a shard. Where the disk does not take it, it stays in memory for this run."""
        if self._waiting:
            keys = np.concatenate([keys for keys, _ in self._waiting])
            fields = {name: concatenated([part[name] for _, part in self._waiting]) for name in self._waiting[0][1]}
            content = encode(keys, fields, bfloat16=self._bfloat16)
            self._waiting, self._waiting_bytes = [], 0
            path = self._write(content)
            number = self._add(_Known(keys, path, sound=True))
            if path is None:
                self._in_memory[number] = Shard(content)
            else:
                self._written()
        self._flushed = time.monotonic()

    def in_use(self) -> set[Path]:
        """The files that this space has read or written."""
        return {known.path for _, known in self._present() if known.sound and known.path is not None}

    def _write(self, content: bytes) -> Path | None:
        if self.folder is None:
            return None
        path = self.folder / f"{time.time_ns():x}-{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
        try:
            if not (self.folder / "space.json").exists():
                write_json(self.folder / "space.json", self._about)
            write_atomic(path, content)
        except (OSError, HeadstartError) as error:
            self._warn(
                "write",
                f"The feature store cannot be written ({error}) What is computed stays in memory for this run and "
                "will be computed again next time. HEADSTART_CACHE names another folder.",
            )
            return None
        return path

    def _refresh(self) -> None:
        """Take in shards that are new in the folder and forget those that are gone."""
        if self.folder is None:
            return
        try:
            present = {name for name in os.listdir(self.folder) if name.endswith(SUFFIX)}
        except OSError:
            present = set()
        for name in self._names.keys() - present:
            self._forget(self._names[name])
        for name in sorted(present - self._names.keys()):
            path = self.folder / name
            try:
                self._add(_Known(Shard.open(path).keys.copy(), path, sound=False))
            except DamagedShardError as error:
                self._set_aside(path, error)
            except OSError:  # gone, or not ours to read: its entries are computed again
                continue

    def _add(self, known: _Known) -> int:
        self._known.append(known)
        self._index = None
        number = len(self._known) - 1
        if known.path is not None:
            self._names[known.path.name] = number
        return number

    def _forget(self, number: int) -> None:
        known, self._known[number], self._index = self._known[number], None, None
        self._open.pop(number, None)
        if known is not None and known.path is not None:
            del self._names[known.path.name]

    def _set_aside(self, path: Path, error: Exception) -> None:
        with suppress(OSError):
            path.unlink()
        self._warn(str(path), f"The stored features in {path} are damaged ({error}): they are computed again.")

    def _all_sound(self, numbers: Sequence[int]) -> bool:
        """Verify shards on first use; forget those that are damaged or gone."""
        unseen = [(number, known) for number in numbers if (known := self._known[number]) and not known.sound]
        with ThreadPoolExecutor(cores(), thread_name_prefix="verify") as pool:
            errors = list(pool.map(self._fault, [number for number, _ in unseen]))
        for (number, known), error in zip(unseen, errors):
            known.sound = error is None
            if isinstance(error, DamagedShardError) and known.path is not None:
                self._set_aside(known.path, error)
            if error is not None:
                self._forget(number)
        return not any(errors)

    def _fault(self, number: int) -> StoreError | None:
        try:
            shard = self._shard(number)
            shard.verify()
            shard.release()
        except StoreError as error:
            return error
        return None

    def _shard(self, number: int) -> Shard:
        if number in self._in_memory:
            return self._in_memory[number]
        with self._opening:
            if number not in self._open:
                self._open[number] = self._opened(number)
            self._open.move_to_end(number)
            if len(self._open) > OPEN_SHARDS:
                self._open.popitem(last=False)
            return self._open[number]

    def _opened(self, number: int) -> Shard:
        known = self._known[number]
        try:
            if known is None or known.path is None:
                raise FileNotFoundError
            shard = Shard.open(known.path)
        except OSError as error:
            raise StoreError(
                "stored features were evicted by another process while they were in use. Start again: only what is "
                "missing is computed; HEADSTART_CACHE_LIMIT (for example 50GB) allows the store more room."
            ) from error
        with suppress(OSError):  # the time of last use decides what is evicted first
            os.utime(known.path)
        return shard

    def _present(self) -> Iterator[tuple[int, _Known]]:
        return ((number, known) for number, known in enumerate(self._known) if known is not None)

    def _refuse_missing(self, located: Located) -> None:
        missing = int((~located.found).sum())
        if missing:
            raise StoreError(f"{missing} of {len(located.position)} entries are not in the feature store")


def _kinds(fields: Mapping[str, Column]) -> dict[str, tuple[object, ...]]:
    return {name: kind_of(column) for name, column in fields.items()}
