"""Words of raw text by one fixed rule, and which of them a character span covers.

A word is a run of letters, digits and underscores, with the accents and vowel signs on them and the @ or # before it;
any other visible character is a word of its own, and so is each character of the scripts that put no spaces between
words. A place in a text is a pair (start, end) of characters, the end not included.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

_UNSPACED = (
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f"
    r"\U00020000-\U0003ffff]"
)
"""Thai and Lao, Burmese, Khmer, kana, Chinese characters."""

_LETTER = re.compile(rf"(?!{_UNSPACED})\w")
_WORD = re.compile(rf"[@#]?(?:{_LETTER.pattern})+|\S")

_JOINERS = "\u200c\u200d"
"""Between letters of one word, as in Persian, and between the parts of an emoji."""

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
    found: list[Place] = []
    after_mark = False
    for match in _WORD.finditer(text):
        start, end = match.span()
        mark = text[start] in _JOINERS or unicodedata.category(text[start]).startswith("M")
        goes_on = mark or (after_mark and _LETTER.match(text, start) is not None)
        if goes_on and found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
        after_mark = mark
    return found


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
