"""Processes that this machine lists as alive, where it has /proc."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

LISTED = any(Path("/proc/self/task").glob("*/children"))
"""Whether the children of a process can be looked up."""


def reading_workers_of(process: int) -> set[int]:
    """The worker processes that a process has started to read inputs, and that live."""
    found = set()
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):  # a thread that has ended meanwhile
            found |= {int(number) for number in children.read_text().split()}
    return {number for number in found if b"reading_worker" in _command_line(number)}


def alive(process: int) -> bool:
    """Whether a process runs or sleeps, and is not a zombie."""
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def _command_line(process: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes()
    return b""
