"""Locks between processes, by `flock`: the system lets go of them whatever ends the process."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

ATTEMPT_SECONDS = 0.01
"""Between two attempts to get a lock."""

MOST_MISSING = 10
"""After so many attempts in a row in which the folder was not there it cannot be made; another may delete it once."""


def flock(file: IO[bytes], *, wait: bool = False) -> bool:
    """Lock an open file until it is closed; False when another holds it. Raises OSError where there are no locks."""
    if fcntl is None:
        raise OSError("files cannot be locked on this system")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def locked(path: Path, patience: float) -> IO[bytes]:
    """The file at `path`, locked until it is closed; it and its folder are made if need be.

    Args:
        patience: seconds for which another's lock is waited for.

    Raises:
        OSError: the folder cannot be written, files cannot be locked there, or somebody keeps the lock.
    """
    missing = 0
    for _ in range(max(1, int(patience / ATTEMPT_SECONDS))):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = open(path, "ab")  # noqa: SIM115
            missing = 0
        except FileNotFoundError:
            missing += 1
            if missing == MOST_MISSING:
                raise
            time.sleep(ATTEMPT_SECONDS)
            continue
        with suppress(FileNotFoundError), ExitStack() as stack:  # whoever had it may delete it at this moment
            stack.enter_context(file)
            if flock(file) and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                stack.pop_all()
                return file
        time.sleep(ATTEMPT_SECONDS)
    raise TimeoutError(f"{path} stays locked")
