"""Key index: finds the entries of content hashes among those of many shards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from headstart.kernel.errors import StoreError

KEY_BYTES = 16


class Located(NamedTuple):
    """Where entries lie."""

    shard: np.ndarray
    """(entries,) int32: the number of the shard; -1 where nothing is stored."""
    row: np.ndarray
    """(entries,) int32: the row within the shard."""

    @property
    def found(self) -> np.ndarray:
        """(entries,) bool"""
        return self.shard >= 0

    def take(self, rows: np.ndarray) -> Located:
        """The given ones."""
        return Located(self.shard[rows], self.row[rows])

    def by_shard(self) -> Iterator[tuple[int, np.ndarray]]:
        """Each shard's number with the places of its entries, in the order in which they lie in the shard."""
        position = self.shard.astype(np.int64) << 32 | self.row
        order = np.argsort(position, kind="stable")
        ends = np.flatnonzero(np.diff(self.shard[order])) + 1
        for places in np.split(order, ends):
            yield int(self.shard[places[0]]), places


def key_bytes(keys: Sequence[str]) -> np.ndarray:
    """Hex content hashes as (keys, 16) bytes. Raises StoreError on one of another length."""
    try:
        packed = bytes.fromhex("".join(keys))
    except ValueError as error:
        raise StoreError(f"a key is no hex number: {error}") from error
    if len(packed) != KEY_BYTES * len(keys):
        raise StoreError(f"keys have {KEY_BYTES * 2} hex digits each, received for example {keys[0]!r}")
    return np.frombuffer(packed, np.uint8).reshape(-1, KEY_BYTES)


class KeyIndex:
    """Keys sorted by their first 8 bytes and compared by all 16."""

    def __init__(self, shards: Sequence[tuple[int, np.ndarray]]) -> None:
        """From the number of each shard and its keys, (entries, 16) bytes."""
        sizes = [len(keys) for _, keys in shards]
        keys = np.concatenate([np.empty((0, KEY_BYTES), np.uint8), *(keys for _, keys in shards)]).view("<u8")
        order = np.argsort(keys[:, 0])
        numbers = np.repeat(np.array([number for number, _ in shards], np.int32), sizes)
        rows = np.arange(len(keys)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        self._keys = keys[order]
        self._first = np.ascontiguousarray(self._keys[:, 0])
        self._located = Located(numbers, rows.astype(np.int32)).take(order)

    def find(self, wanted: np.ndarray) -> Located:
        """Where each of (keys, 16) bytes lies."""
        words = wanted.view("<u8")
        if not len(self._first):
            return Located(np.full(len(words), -1, np.int32), np.zeros(len(words), np.int32))
        order = np.argsort(words[:, 0])  # sorted needles are found five times as fast
        place = np.empty(len(words), np.int64)
        place[order] = np.searchsorted(self._first, words[order, 0]).clip(max=len(self._first) - 1)
        same = (self._keys[place] == words).all(axis=1)
        located = self._located.take(place)
        return Located(np.where(same, located.shard, np.int32(-1)), located.row)
