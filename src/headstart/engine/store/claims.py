"""Claims: which inputs of a space each process works on, so that processes that share it share the work.

Below the space's folder every process has a file of its own with the keys that it claims, and holds the file's `flock`
for as long as it lives: the kernel lets go of it whatever ends the process, and the claims of the dead are void. Claims
are read and made under the lock of one more file. A process that lives and yet makes no progress loses its claims after
some patience. Where files cannot be locked nothing is shared, and everybody does everything.
"""

from __future__ import annotations

import math
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

from headstart.engine.store.key_index import KEY_BYTES
from headstart.kernel.locks import flock, locked

FOLDER, LOCK = "claims", "lock"

LONGEST_GAP = 1.0
"""Seconds that one look adds at most to the idle time of others: a longer gap was a pause of the one who looks."""


class _Sign(NamedTuple):
    """Last sign of another process. Clocks may differ: times of files are only compared with each other."""

    changed: int
    """When its file was last changed, by the clock of the file system."""
    idle: float
    """Seconds for which that has stayed so, by the looks of this process."""


class Claims:
    """Claims of one process in one space."""

    def __init__(self, space: Path | None, patience: float) -> None:
        """Take part in the work on a space.

        Args:
            space: its folder; None where it lies in memory and there is nobody to share with.
            patience: seconds without progress after which a living process loses its claims, and for which the lock is
                waited for.
        """
        self._patience = patience
        self._held: set[str] = set()
        self._signs: dict[str, _Sign] = {}
        self._looked = time.monotonic()
        self._own: IO[bytes] | None = None
        if space is None:
            return
        self._folder = space / FOLDER
        self._path = self._folder / f"{os.getpid()}-{secrets.token_hex(4)}"
        with suppress(OSError), locked(self._folder / LOCK, patience):
            self._join()

    @property
    def shared(self) -> bool:
        """Return whether other processes can see the claims of this one, and it theirs."""
        return self._own is not None

    def take(self, keys: Iterable[str], most: int) -> list[bool]:
        """Claim the first `most` of the keys (32 hex digits each) that no other process claims.

        Returns:
            For each key up to the last one claimed, or all of them, whether it is claimed now.
        """
        taken: list[bool] = []
        mine = 0
        with self._together() as others:
            for key in keys:
                taken.append(key not in others)
                if taken[-1]:
                    self._held.add(key)
                    mine += 1
                    if mine == most:
                        break
        return taken

    def release(self, keys: Iterable[str] | None = None) -> None:
        """Give claims back, all of them without `keys`. What was computed must be in the space before."""
        self._held.difference_update(list(self._held) if keys is None else keys)
        with self._together():
            pass

    def beat(self) -> None:
        """Show that there is progress."""
        if self._own is not None:
            with suppress(OSError):
                os.utime(self._own.fileno())

    def close(self) -> None:
        """Give everything back; the last one clears up."""
        if self._own is None:
            return
        with suppress(OSError), locked(self._folder / LOCK, self._patience):
            self._leave()
            if not _living(self._folder):
                (self._folder / LOCK).unlink()
        self._leave()
        with suppress(OSError):  # others are there, or the space holds entries
            self._folder.rmdir()
            self._folder.parent.rmdir()

    @contextmanager
    def _together(self) -> Iterator[frozenset[str]]:
        """Under the lock: what others hold. What this process holds when the block ends is written for them to read."""
        others: frozenset[str] = frozenset()
        with ExitStack() as stack:
            if self._own is not None:
                try:
                    stack.enter_context(locked(self._folder / LOCK, self._patience))
                    if not self._path.exists():  # the space was cleared
                        self._leave()
                        self._join()
                    others = self._held_by_others()
                except OSError:
                    self._leave()
            yield others
            if self._own is not None:
                try:
                    _overwrite(self._own, bytes.fromhex("".join(sorted(self._held))))
                except OSError:
                    self._leave()

    def _held_by_others(self) -> frozenset[str]:
        """The claims of those who live and make progress."""
        now = time.monotonic()
        gap, self._looked = min(now - self._looked, LONGEST_GAP), now
        held: set[str] = set()
        signs = {}
        for path in _living(self._folder):
            if path == self._path:
                continue
            changed = path.stat().st_mtime_ns
            before = self._signs.get(path.name)
            idle = before.idle + gap if before is not None and before.changed == changed else 0.0
            signs[path.name] = _Sign(changed, idle)
            if idle < self._patience:
                digits, width = path.read_bytes().hex(), 2 * KEY_BYTES
                held.update(digits[start : start + width] for start in range(0, len(digits), width))
        self._signs = signs
        return frozenset(held)

    def _join(self) -> None:
        if not _living(self._folder):
            os.utime(self._folder / LOCK)
        own = open(self._path, "xb", buffering=0)  # noqa: SIM115
        try:
            flock(own, wait=True)
        except OSError:
            own.close()
            self._path.unlink(missing_ok=True)
            raise
        self._own = own

    def _leave(self) -> None:
        own, self._own = self._own, None
        if own is not None:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
            own.close()


def in_progress_since(space: Path) -> float:
    """When work on a space that still goes on began, by the clock of the file system; infinity when none does."""
    with suppress(OSError):
        if any(_lives(path) for path in _owners(space / FOLDER)):
            return (space / FOLDER / LOCK).stat().st_mtime
    return math.inf


def _owners(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name != LOCK]


def _lives(path: Path) -> bool:
    """Return whether the process lives that an owner's file belongs to."""
    with open(path, "r+b") as file:
        return not flock(file)


def _living(folder: Path) -> list[Path]:
    """The files of living processes; those of dead ones go. Only under the lock: a new file is not locked at once."""
    found = []
    for path in _owners(folder):
        if _lives(path):
            found.append(path)
        else:
            path.unlink()
    return found


def _overwrite(file: IO[bytes], content: bytes) -> None:
    file.seek(0)
    file.truncate()
    file.write(content)
