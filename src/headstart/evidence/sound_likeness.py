"""Near copies among sounds: the same recording in another format, louder, resampled or cut a little otherwise.

Fingerprints of 32 bits every 20 ms say in which of neighbouring mel bands the energy rises (Haitsma & Kalker 2002, "A
highly robust audio fingerprinting system"):

    bit(t, m) = 1 where E(t, m) - E(t, m + 1) - (E(t - 1, m) - E(t - 1, m + 1)) > 0

Two clips that share some of them at the same distance in time are laid over one another; they are copies where at most
a quarter of the bits differ (0.35 in the paper) over most of the longer one. Frames of 256 ms of all frequencies up to
4 kHz take the place of the paper's 370 ms up to 2 kHz. Clips with less than a second of them say too little.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from headstart.contracts.examples import Examples
from headstart.contracts.modality import HasSound, raws_of
from headstart.engine.frozen.disk_cache import DiskCache
from headstart.kernel.errors import DataError
from headstart.numerics.mel import log_mel

RATE, WINDOW, HOP = 8000, 2048, 160
LONGEST = 60.0
"""Seconds of a clip that are looked at."""
FEWEST = 50
"""Fingerprints below which a clip is not compared."""
DIFFERENT = 0.25
"""Share of bits that may differ."""
COVERED = 0.8
"""Share of the longer clip's fingerprints that both must have."""
COMMON = 50
"""Clips from which on a fingerprint that they share tells nothing, such as that of silence."""
MEMO = "sound-fingerprints-1"


def near_sounds(
    kind: HasSound, examples: Examples, keys: Sequence[str | None], rows: Sequence[int]
) -> tuple[list[tuple[int, int]], dict[int, str]]:
    """Return pairs of some rows that are nearly the same sound, and row -> why it cannot be read."""
    prints, failures = _prints(kind, examples, keys, rows)
    where: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for row, bits in prints.items():
        for at, word in enumerate(bits.tolist()):
            where[word].append((row, at))
    votes: Counter[tuple[int, int, int]] = Counter()
    for places in where.values():
        if len({row for row, _ in places}) <= COMMON:
            votes.update(
                (one, other, at - there)
                for number, (one, at) in enumerate(places)
                for other, there in places[number + 1 :]
                if one != other
            )
    found = set[tuple[int, int]]()
    for (one, other, lag), number in votes.items():
        pair = min(one, other), max(one, other)
        if number > 1 and pair not in found and _alike(prints[one], prints[other], lag):
            found.add(pair)
    return sorted(found), failures


def fingerprints(wave: np.ndarray) -> np.ndarray:
    """(frames,) uint32 of a waveform (samples,) at 8000 samples per second."""
    energies = log_mel(wave, RATE, 33, WINDOW, HOP)
    slopes = energies[:, :-1] - energies[:, 1:]
    bits = np.diff(slopes, axis=0) > 0
    return np.packbits(bits, axis=1).view(">u4")[:, 0].astype(np.uint32)


def _prints(
    kind: HasSound, examples: Examples, keys: Sequence[str | None], rows: Sequence[int]
) -> tuple[dict[int, np.ndarray], dict[int, str]]:
    """Fingerprints of the rows that are long enough, each sound being read once in its life."""
    memo = DiskCache(MEMO)
    names = {row: str(keys[row]).encode() for row in rows}
    known, new, failures = memo.get(list(names.values())), dict[bytes, bytes](), dict[int, str]()
    found: dict[int, np.ndarray] = {}
    for row in rows:
        kept = known.get(names[row])
        if kept is None:
            try:
                kept = fingerprints(kind.wave(raws_of(examples, [row])[0], RATE, LONGEST)).tobytes()
            except DataError as error:
                failures[row] = str(error)
                continue
            new[names[row]] = kept
        bits = np.frombuffer(kept, np.uint32)
        if len(bits) >= FEWEST:
            found[row] = bits
    memo.put(new)
    return found, failures


def _alike(one: np.ndarray, other: np.ndarray, lag: int) -> bool:
    """Return whether two clips are copies, `one` beginning `lag` frames earlier than `other`."""
    start, stop = max(0, lag), min(len(one), len(other) + lag)
    if stop - start < max(FEWEST, COVERED * max(len(one), len(other))):
        return False
    differing = np.bitwise_xor(one[start:stop], other[start - lag : stop - lag])
    return bool(np.unpackbits(differing.view(np.uint8)).mean() <= DIFFERENT)
