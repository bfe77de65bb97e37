from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest

from headstart.evidence import image_likeness
from headstart.evidence.image_fingerprints import RECORD, SIDE
from headstart.evidence.image_likeness import MOST_BITS, near_images


def noise(count: int, alike: int = 0) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Records of random pictures, some of which come twice with up to three other bits; and the pairs of these."""
    draws = np.random.default_rng(0)
    records = np.zeros(count, RECORD)
    records["pixels"] = draws.integers(0, 256, (count, SIDE, SIDE), np.uint8)
    records["bits"] = draws.integers(0, 2**64, count, np.uint64)
    pairs = np.sort(draws.permutation(count)[: 2 * alike].reshape(-1, 2), axis=1)
    for one, other in pairs:
        flipped = draws.permutation(64)[: draws.integers(0, MOST_BITS + 1)].tolist()
        records["pixels"][other] = records["pixels"][one]
        records["bits"][other] = records["bits"][one] ^ np.uint64(sum(1 << bit for bit in flipped))
    return records, sorted(map(tuple, pairs.tolist()))


@pytest.mark.slow
@pytest.mark.parametrize("common", [0, 0xFFFF])
def test_a_hundred_thousand_pictures_are_not_compared_pair_by_pair(common: int) -> None:
    records, pairs = noise(100_000, alike=500)
    records["bits"] |= np.uint64(common)  # as of pictures with the same frame around them
    began = time.process_time()
    assert near_images(records) == pairs
    assert time.process_time() - began < 15, "it takes half a second"


def test_pairs_are_found_whichever_bits_differ_and_once_each() -> None:
    records, _ = noise(200)
    records["pixels"] = records["pixels"][0]
    records["bits"] = np.random.default_rng(1).integers(0, 64, 200, np.uint64) << np.uint64(29)
    bits = records["bits"].tolist()
    expected = [(a, b) for a in range(200) for b in range(a + 1, 200) if (bits[a] ^ bits[b]).bit_count() <= MOST_BITS]
    assert 0 < len(expected) < 199 * 100
    assert near_images(records) == expected


def test_thumbnails_are_looked_at_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_likeness, "_CHUNK", 64)
    records, _ = noise(8000)
    tracemalloc.start()
    try:
        near_images(records)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < len(records) * SIDE * SIDE / 2
