"""Draws for a whole batch at once, each a pure function of its example's seed; a generator for each would be slow.

SplitMix64 (Steele, Lea & Flood 2014): draw k of seed s is the mixed bits of s + (k + 1) * golden ratio.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

GOLDEN, FIRST, SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def uniform(seeds: Sequence[int], count: int) -> np.ndarray:
    """(examples, count) float64, even in [0, 1)."""
    steps = np.arange(1, count + 1, dtype=np.uint64) * GOLDEN
    bits = np.asarray(seeds, np.uint64)[:, None] + steps
    bits = (bits ^ (bits >> np.uint64(30))) * FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * SECOND
    bits ^= bits >> np.uint64(31)
    return (bits >> np.uint64(11)) * 2.0**-53
