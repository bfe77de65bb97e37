"""Turns: what several processes would otherwise all do at once is done by one while the others wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from headstart.kernel.folders import cache_folder
from headstart.kernel.locks import locked

PATIENCE_SECONDS = 120.0
"""After so long nobody is waited for any more."""


@contextmanager
def work_lock(name: str) -> Iterator[None]:
    """Hold the lock `name` of the cache folder, where it can be had; a process that dies lets go of it."""
    path = cache_folder() / "memo" / f"{name}.lock"
    with ExitStack() as stack:
        with suppress(OSError):  # a read-only disk, one without locks, or somebody hangs
            stack.enter_context(locked(path, PATIENCE_SECONDS))
            stack.callback(_delete, path)
        yield


def _delete(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
