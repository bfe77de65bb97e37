"""Joining rows that belong together, by union-find (Galler & Fischer 1964) with path halving."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np


class Clusters:
    """Rows 0..n-1, each at first on its own."""

    def __init__(self, rows: int) -> None:
        """`rows` clusters of one row."""
        self._parent = list(range(rows))

    def join(self, one: int, other: int) -> None:
        """Make the clusters of two rows one."""
        first, second = sorted((self._root(one), self._root(other)))
        self._parent[second] = first

    def join_equal(self, values: Sequence[Hashable]) -> None:
        """Join all rows with the same value; None joins nothing."""
        first: dict[Hashable, int] = {}
        for row, value in enumerate(values):
            if value is not None:
                self.join(first.setdefault(value, row), row)

    def join_all(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Join every pair."""
        for one, other in pairs:
            self.join(one, other)

    def labels(self) -> np.ndarray:
        """(rows,) int64: the first row of each row's cluster."""
        return np.array([self._root(row) for row in range(len(self._parent))], np.int64)

    def _root(self, row: int) -> int:
        parent = self._parent
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row
