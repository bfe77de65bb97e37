"""Inputs in memory in the words of an error."""

from __future__ import annotations

import math
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
