"""Turns: what several processes would otherwise all do at once is done by one while the others wait."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from headstart.kernel.folders import cache_folder

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

ATTEMPT_SECONDS = 0.1
PATIENCE_SECONDS = 120.0
"""After so long nobody is waited for any more."""


@contextmanager
def in_turn(name: str) -> Iterator[None]:
    """Hold the lock `name` of the cache folder, where it can be had; a process that dies lets go of it."""
    with ExitStack() as stack:
        if fcntl is not None:
            try:
                path: Path = cache_folder() / "memo" / f"{name}.lock"
                path.parent.mkdir(parents=True, exist_ok=True)
                file = stack.enter_context(open(path, "ab"))
                _lock(file.fileno())
            except OSError:  # a read-only disk, or one without locks
                pass
        yield


def _lock(descriptor: int) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise
        time.sleep(ATTEMPT_SECONDS)
