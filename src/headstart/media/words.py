"""Words of raw text by one fixed rule, and which of them a character span covers.

A word is a run of letters, digits and underscores, with the @ or # before it; any other visible character is a word of
its own. A place in a text is a pair (start, end) of characters, the end not included.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_WORD = re.compile(r"[@#]?\w+|[^\w\s]")

Place = tuple[int, int]


class Covered(NamedTuple):
    """The words that a span is made of."""

    first: int
    stop: int
    """One past the last."""
    exact: bool
    """False where the span begins or ends inside a word, which is then taken whole."""


def words_of(text: str) -> list[Place]:
    """The places of the words of a text, in order."""
    return [match.span() for match in _WORD.finditer(text)]


def covered_words(words: Sequence[Place], spans: Sequence[Place]) -> list[Covered | None]:
    """The words of each span; None where it has none of its own: it covers no word, or an earlier span has them all.

    Args:
        words: in order, not overlapping.
        spans: in order, not overlapping.
    """
    found: list[Covered | None] = []
    free = 0
    for start, end in spans:
        first = free
        while first < len(words) and words[first][1] <= start:
            first += 1
        stop = first
        while stop < len(words) and words[stop][0] < end:
            stop += 1
        if first == stop:
            found.append(None)
            continue
        found.append(Covered(first, stop, words[first][0] >= start and words[stop - 1][1] <= end))
        free = stop
    return found
