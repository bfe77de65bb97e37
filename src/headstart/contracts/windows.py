"""Windows: examples that are longer than a backbone reads, cut, with what each piece has of its example."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from headstart.contracts.examples import Examples


@dataclass(frozen=True)
class Windows:
    """Examples cut into what a backbone reads at once, where some of them are longer."""

    examples: Examples
    """A row per piece, in the order of the examples and of what they hold; without targets."""
    owner: np.ndarray
    """(pieces,) int64, ascending: the row of the example that each piece belongs to."""
    items: np.ndarray
    """(pieces, 2) int64: from which to before which entry of its example's ragged targets a piece has as its own."""

    def take(self, rows: np.ndarray) -> Windows:
        """The pieces of some rows (chosen,), in that order."""
        return Windows(self.examples.take(rows), self.owner[rows], self.items[rows])

    def targets(self, whole: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """The ragged targets of the examples, cut; of any other each piece has that of its example."""
        found = {}
        for name, values in whole.items():
            if values.dtype != object:
                found[name] = values[self.owner]
                continue
            column = np.empty(len(self.owner), dtype=object)
            for piece, (row, (first, stop)) in enumerate(zip(self.owner, self.items)):
                column[piece] = values[row][first:stop]
            found[name] = column
        return found
