"""The processor's cores. Apart from the devices, so that what needs no torch does not load it."""

from __future__ import annotations

import os
from pathlib import Path


def cores() -> int:
    """Processor cores that this process may use; >= 1."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def computes_bfloat16() -> bool:
    """Return True for a processor that multiplies in bfloat16 natively, as far as Linux tells."""
    try:
        information = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return False
    line = next((line for line in information.splitlines() if line.startswith(("flags", "Features"))), "")
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(line.split())
