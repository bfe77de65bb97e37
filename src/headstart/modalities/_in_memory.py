"""Inputs that lie in files or in memory: where they are, and their words in an error."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np


def shown(item: Any) -> str:
    """An input of a wrong kind: its type, and what it holds where that is short."""
    if isinstance(item, np.ndarray):
        return f"an array of {item.dtype} {item.shape}"
    if item is None or (isinstance(item, float) and math.isnan(item)):
        return str(item)
    text = repr(item)
    return f"{type(item).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def stored_at(value: Any, root: str) -> Path | bytes:
    """Return the path, below `root` where it is relative, or the content of a file; b"" where there is none."""
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        return value
    return b"" if value is None else Path(root, value)
