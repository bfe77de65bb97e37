"""Tell whether what a user gave is a path: frames, lists and data sets are given alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeGuard


def is_path(source: Any) -> TypeGuard[str | Path]:
    """Return whether it is one, whether or not there is anything."""
    return isinstance(source, (str, Path)) and source != ""


def is_folder(source: Any) -> TypeGuard[str | Path]:
    """Return whether it is that of a folder."""
    return is_path(source) and Path(source).is_dir()
