"""Every draw is a pure function of (seed, purpose, epoch, example): there is no random state to save."""

from __future__ import annotations

import hashlib


def draw_seed(seed: int, purpose: str, *coordinates: int) -> int:
    """A seed in [0, 2**63) that depends on nothing but the arguments."""
    text = f"{seed}|{purpose}|" + "|".join(str(int(c)) for c in coordinates)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1
