"""Key index: finds the entries of content hashes among those of many shards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from headstart.kernel.errors import StoreError

KEY_BYTES = 16


class Located(NamedTuple):
    """Where entries lie."""

    position: np.ndarray
    """(entries,) int64: the number of the shard times 2**32, plus the row within it; -1 where nothing is stored."""

    @property
    def found(self) -> np.ndarray:
        """(entries,) bool"""
        return self.position >= 0

    @property
    def shard(self) -> np.ndarray:
        """(entries,) the number of the shard"""
        return self.position >> 32

    def take(self, places: np.ndarray) -> Located:
        """The given ones, (places,)."""
        return Located(self.position[places])

    def by_shard(self) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """For each shard its number, the places of its entries here, and their rows there, ascending."""
        order = np.argsort(self.position, kind="stable")
        ordered = self.position[order]
        shards = ordered >> 32
        for part in np.split(np.arange(len(order)), np.flatnonzero(np.diff(shards)) + 1):
            yield int(shards[part[0]]), order[part], ordered[part] & 0xFFFFFFFF


def key_bytes(keys: Sequence[str]) -> np.ndarray:
    """Hex content hashes as (keys, 16) bytes. Raises StoreError on one of another length."""
    try:
        packed = bytes.fromhex("".join(keys))
    except ValueError as error:
        raise StoreError(f"a key is not a hexadecimal number: {error}") from error
    if len(packed) != KEY_BYTES * len(keys):
        raise StoreError(f"keys have {KEY_BYTES * 2} hex digits each, received for example {keys[0]!r}")
    return np.frombuffer(packed, np.uint8).reshape(-1, KEY_BYTES)


class KeyIndex:
    """Keys sorted by their first 8 bytes and compared by all 16."""

    def __init__(self, shards: Sequence[tuple[int, np.ndarray]]) -> None:
        """From the number of each shard and its keys, (entries, 16) bytes."""
        keys = np.concatenate([np.empty((0, KEY_BYTES), np.uint8), *(keys for _, keys in shards)]).view("<u8")
        none = np.empty(0, np.int64)
        position = np.concatenate([none, *((number << 32) + np.arange(len(keys)) for number, keys in shards)])
        self._words, self._stored = keys, position
        self._sorted: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    def find(self, wanted: np.ndarray) -> Located:
        """Where each of (keys, 16) bytes lies."""
        words = wanted.view("<u8")
        if np.array_equal(words, self._words):  # the same examples in the same order, as pictures mostly are
            return Located(self._stored)
        found = np.full(len(words), -1, np.int64)
        if len(self._words):
            firsts, seconds, stored = self._in_order()
            order = np.argsort(words[:, 0])  # sorted needles are found five times as fast
            first, second = words[order, 0], words[order, 1]
            place = np.searchsorted(firsts, first).clip(max=len(firsts) - 1)
            same = (firsts[place] == first) & (seconds[place] == second)
            found[order] = np.where(same, stored[place], -1)
        return Located(found)

    def _in_order(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """First and second half of every key and its position, by the first half."""
        if self._sorted is None:
            order = np.argsort(self._words[:, 0])
            self._sorted = self._words[order, 0], self._words[order, 1], self._stored[order]
        return self._sorted
