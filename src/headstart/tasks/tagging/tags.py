"""Tags of words: O outside of entities, B-TYPE where one begins and I-TYPE where it goes on (IOB2), as numbers.

Where no entity of the training data has two words, as with parts of speech, there are no I- tags.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Entity(NamedTuple):
    """Words that belong together."""

    first: int
    stop: int
    """One past the last."""
    type: int


@dataclass(frozen=True)
class TagSet:
    """The tags of some entity types."""

    types: tuple[str, ...]
    several_words: bool
    """Whether an entity may have more than one word."""

    @property
    def names(self) -> tuple[str, ...]:
        """'O', 'B-person', 'I-person', ..."""
        prefixes = ("B-", "I-") if self.several_words else ("B-",)
        return ("O", *(prefix + name for name in self.types for prefix in prefixes))

    @property
    def kinds(self) -> np.ndarray:
        """(tags,) the type of each tag, -1 for O."""
        return np.concatenate([[-1], np.repeat(np.arange(len(self.types)), 1 + self.several_words)])

    @property
    def begins(self) -> np.ndarray:
        """(tags,) whether an entity begins with it."""
        return np.array([name.startswith("B-") for name in self.names])

    @property
    def allowed(self) -> np.ndarray:
        """(tags + 1, tags) which may follow which: I-TYPE only B-TYPE or I-TYPE. The last row is the text's start."""
        inside = (self.kinds >= 0) & ~self.begins
        same = self.kinds[:, None] == self.kinds[None, :]
        return np.concatenate([~inside[None, :] | same, ~inside[None, :]])

    def encode(self, entities: Sequence[Entity], words: int) -> np.ndarray:
        """(words,) int64 tags of entities that do not overlap."""
        tags = np.zeros(words, np.int64)
        step = 1 + self.several_words
        for first, stop, kind in entities:
            tags[first:stop] = 1 + step * kind + int(self.several_words)
            tags[first] = 1 + step * kind
        return tags

    def entities(self, tags: np.ndarray) -> list[Entity]:
        """The entities of (words,) tags that follow each other as `allowed` has it."""
        kinds, begins = self.kinds[tags], self.begins[tags]
        starts = np.flatnonzero(begins)
        ends = np.flatnonzero(begins | (kinds < 0))
        stops = np.append(ends, len(tags))[np.searchsorted(ends, starts, side="right")]
        return [Entity(int(first), int(stop), int(kinds[first])) for first, stop in zip(starts, stops)]
