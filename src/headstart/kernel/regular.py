"""Opening files that others made: regular ones only, as a pipe or a device may have no end or never answer."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def require_regular(path: Path) -> os.stat_result:
    """Return the status of a regular file, or of the one that a link leads to.

    Raises:
        OSError: it is missing or out of reach; or it is something else, which `strerror` names.
    """
    status = path.stat()
    kind = next((kind for is_such, kind in _KINDS if is_such(status.st_mode)), None)
    if kind is not None:
        raise OSError(errno.EINVAL, f"it is {kind}, not a regular file", str(path))
    return status


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file for reading. Raises OSError as `require_regular`."""
    require_regular(path)
    return open(path, "rb")


def beginning_of(path: Path, size: int) -> bytes:
    """Return at most `size` first bytes of a regular file; none of one that cannot be read."""
    try:
        with open_regular(path) as file:
            return file.read(size)
    except OSError:
        return b""


def read_regular(path: Path) -> bytes:
    """Read a whole regular file. Raises OSError as `require_regular`."""
    with open_regular(path) as file:
        return file.read()
