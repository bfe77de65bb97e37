"""The processor's cores. Apart from the devices, so that what needs no torch does not load it."""

from __future__ import annotations

import os


def cores() -> int:
    """Processor cores that this process may use; >= 1."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1
