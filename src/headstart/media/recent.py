"""Cache of the files decoded last, for their other parts, which are asked for soon after: tiles of images and masks."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path

import numpy as np

DECODED_BYTES = 512 << 20
"""Bytes that are kept per process; the last array is, however large it is."""


class Recent:
    """Arrays by what they were decoded from, up to a number of bytes: those that were asked for last."""

    def __init__(self, most: int) -> None:
        """Nothing is kept yet."""
        self.most = most
        self._kept: OrderedDict[Hashable, np.ndarray] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __call__(self, source: Path | bytes, form: Hashable, decode: Callable[[], np.ndarray]) -> np.ndarray:
        """Return the result of `decode` for a file as it is now, or for its bytes; not to be written to."""
        key = (source, _changed(source), form)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        decoded = decode()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = decoded
                self._bytes += decoded.nbytes
            while self._bytes > self.most and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return decoded


def _changed(source: Path | bytes) -> int:
    try:
        return source.stat().st_mtime_ns if isinstance(source, Path) else 0
    except (OSError, ValueError):  # decoding says what is wrong with it
        return 0


DECODED = Recent(DECODED_BYTES)
"""The one that pictures and masks share."""
