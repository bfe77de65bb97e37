"""Folders that can no longer be written, and disks that are full: for tests of what then becomes of the work."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """The folder without the right to write to it; for root, who may always write, mounted so."""
    if os.geteuid() == 0:
        with mounted(folder, "--bind", str(folder)):
            line = ["mount", "-o", "remount,bind,ro", str(folder)]
            attempts = (subprocess.run(line, capture_output=True).returncode for _ in range(100))
            if all(attempts):  # one fails while a file is being written
                pytest.skip("root may always write, and mounting a folder as read-only is not allowed here")
            yield
        return
    everything = [folder, *folder.rglob("*")]
    modes = [path.stat().st_mode for path in everything]
    for path in everything:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        yield
    finally:
        for path, mode in zip(everything, modes):
            path.chmod(mode)


@contextmanager
def mounted(folder: Path, *what: str) -> Iterator[None]:
    """Something mounted there; the test is skipped where that is not allowed."""
    try:
        done = subprocess.run(["mount", *what, str(folder)], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
