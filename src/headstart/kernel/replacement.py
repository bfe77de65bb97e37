"""Replacing a folder by one that was made beside it: at every moment one of both is whole.

The new folder is made as a hidden sibling. Two renames put it in the place of the old one; what a crash between them
leaves is mended by `recover`.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

NEW, OLD = ".headstart-new", ".headstart-old"
"""How the names of the siblings end: what is being made, and what was replaced and goes."""


def successor(folder: Path) -> Path:
    """Return the place where the replacement of a folder is made; beside the target of a link."""
    return _beside(folder, NEW)


def destination(path: Path) -> Path:
    """Return the final place of something below a successor; any other path as it is."""
    return Path(*(part[1 : -len(NEW)] if part.startswith(".") and part.endswith(NEW) else part for part in path.parts))


def replace(folder: Path) -> None:
    """Put the successor of a folder, which is whole, in its place; the old one goes.

    Raises:
        OSError: the system refuses it; the old folder is where it was.
    """
    old, new, target = _beside(folder, OLD), successor(folder), _real(folder)
    _delete(old)
    os.rename(target, old)
    try:
        _move(new, target)
    except OSError:
        os.rename(old, target)
        raise
    _delete(old)


def recover(folder: Path) -> None:
    """Finish a replacement that was stopped midway, as far as the disk allows; without one nothing happens."""
    old, new, target = _beside(folder, OLD), successor(folder), _real(folder)
    if not old.is_dir():
        return
    with suppress(OSError):
        if not target.exists():
            _move(new if new.is_dir() else old, target)
        _delete(old)


def _move(source: Path, target: Path) -> None:
    try:
        os.rename(source, target)
    except FileNotFoundError:
        if not target.is_dir():  # else another process recovered it at this very moment
            raise


def _delete(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _beside(folder: Path, ending: str) -> Path:
    real = _real(folder)
    return real.with_name(f".{real.name}{ending}")


def _real(folder: Path) -> Path:
    return folder.resolve() if folder.is_symlink() or folder.name in ("", "..") else folder
