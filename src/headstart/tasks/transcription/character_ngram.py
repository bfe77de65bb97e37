"""A character n-gram learnt from lines of text, with Witten & Bell's (1991) smoothing.

    P(c | h) = (count(hc) + T(h) P(c | h')) / (count(h) + T(h)),

T(h) being how many different characters follow the history h, and h' that history without its first character; at the
end of all histories every character is equally likely. A line begins after the number EDGE, and ends with it.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import PrivateAttr

from headstart.kernel.errors import DataError
from headstart.kernel.regular import read_regular
from headstart.kernel.settings import Settings
from headstart.tasks.transcription.alphabet import BLANK, FIRST

EDGE = BLANK
"""The number that stands before and after a line; none of its characters has it."""


class CharacterNgram(Settings):
    """Counts of characters after histories, both as numbers."""

    order: int
    numbers: int
    """How many different characters there are."""
    counts: dict[str, dict[int, int]]
    """History, its numbers joined by spaces -> number of the next character -> how often it follows."""
    _known: dict[tuple[tuple[int, ...], int], float] = PrivateAttr(default_factory=dict)

    def log_probability(self, before: Sequence[int], number: int) -> float:
        """log P of a character, or of EDGE, after those of the line before it."""
        most = self.order - 1
        history = (EDGE, *before[-most:])[-most:]
        if (history, number) not in self._known:
            self._known[history, number] = math.log(self._probability(history, number))
        return self._known[history, number]

    def _probability(self, history: tuple[int, ...], number: int) -> float:
        below = self._probability(history[1:], number) if history else 1.0 / (self.numbers + 1)
        seen = self.counts.get(" ".join(map(str, history)))
        if seen is None:
            return below
        return (seen.get(number, 0) + len(seen) * below) / (sum(seen.values()) + len(seen))


def ngram_of(path: str, order: int, alphabet: Sequence[str]) -> CharacterNgram:
    """Learn from the lines of a file, of whose characters only the alphabet's count. Raises DataError."""
    try:
        lines = read_regular(Path(path).expanduser()).decode("utf-8", errors="replace").splitlines()
    except OSError as error:
        raise DataError(f"task.language {path} cannot be read: {error.strerror or error}") from error
    known = {character: FIRST + k for k, character in enumerate(alphabet)}
    found = learn_ngram(([known[c] for c in line if c in known] for line in lines), order, len(alphabet))
    if not found.counts:
        raise DataError(f"task.language {path} has none of the characters of the transcripts")
    return found


def learn_ngram(lines: Iterable[Sequence[int]], order: int, numbers: int) -> CharacterNgram:
    """Count every character, and the end of a line, after each of its histories of 0 to order - 1 characters."""
    counts: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for line in lines:
        whole = (EDGE, *line, EDGE)
        for at, number in enumerate(whole[1:], start=1):
            for length in range(min(order - 1, at) + 1):
                counts[" ".join(map(str, whole[at - length : at]))][number] += 1
    return CharacterNgram(order=order, numbers=numbers, counts={h: dict(seen) for h, seen in counts.items()})
