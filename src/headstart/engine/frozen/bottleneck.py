"""Which part of a frozen pass holds it up: reading, the network and storing work side by side, each at its own pace."""

from __future__ import annotations

from collections.abc import Mapping

PARTS = {"prepare": "reading", "runner": "network", "store": "storing"}


def shares(seconds: Mapping[str, float]) -> str:
    """Each part's share of the work, as 'network 62 %, reading 35 %, storing 3 %'; empty where nothing was done.

    Args:
        seconds: for how long each of `PARTS` was busy.
    """
    total = sum(seconds.get(part, 0.0) for part in PARTS)
    if not total:
        return ""
    largest_first = sorted(PARTS, key=lambda part: -seconds.get(part, 0.0))
    return ", ".join(f"{PARTS[part]} {100 * seconds.get(part, 0.0) / total:.0f} %" for part in largest_first)
