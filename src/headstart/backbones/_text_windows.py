"""Windows of a text that is longer than is read at once: parts that overlap by a quarter, cut between words."""

from __future__ import annotations

import copy
from bisect import bisect_right
from functools import cached_property
from typing import Any

OVERLAP = 0.25
"""Share of a window that it has in common with the next one."""

SLACK = 8
"""Tokens by which windows are shorter than what is read: a part may be cut into a few more tokens than it was in its
text."""


class TextWindows:
    """Cuts texts by a tokenizer."""

    def __init__(self, tokenizer: Any, max_length: int, lead: str) -> None:
        """For `max_length` tokens, special ones included; `lead` is what goes before each text."""
        self._given = tokenizer
        self._room = max_length - tokenizer.num_special_tokens_to_add(pair=False)
        self._lead = lead

    def __call__(self, text: str) -> tuple[tuple[int, int], ...]:
        """(start, stop) of each window in characters, in order; none where the text is read whole."""
        if len(text.encode(errors="replace")) + len(self._lead) <= self._room:
            return ()  # no tokenizer makes more tokens than there are bytes
        places = self._tokens(text)
        if len(places) <= self._room:
            return ()
        size = max(self._room - SLACK, self._room // 2, 1)
        heads = [
            at for at in range(1, len(places)) if places[at - 1][0] < places[at][0] and _blank(text, places[at][0])
        ]
        found, begin = [], 0
        while True:
            end = begin + size
            if end >= len(places):
                found.append((self._start(places, begin), len(text)))
                return tuple(found)
            end = _last_head(heads, begin + size // 2, end)
            found.append((self._start(places, begin), places[end - 1][1]))
            begin = _last_head(heads, begin + size // 4, end - int(OVERLAP * size))

    def tokens(self, text: str) -> int:
        """Return how many tokens a text has, special ones not counted."""
        clean = text.encode(errors="replace").decode()
        found = self._tokenizer(self._lead + clean, add_special_tokens=False, truncation=False, verbose=False)
        return len(found["input_ids"])

    @staticmethod
    def _start(places: list[tuple[int, int]], at: int) -> int:
        return places[at][0] if at else 0

    def _tokens(self, text: str) -> list[tuple[int, int]]:
        """Which characters each token stands for."""
        clean = text.encode(errors="replace").decode()
        encoded = self._tokenizer(
            self._lead + clean, add_special_tokens=False, truncation=False, return_offsets_mapping=True, verbose=False
        )
        lead = len(self._lead)
        return [(max(start - lead, 0), max(end - lead, 0)) for start, end in encoded["offset_mapping"]]

    @cached_property
    def _tokenizer(self) -> Any:
        """A copy: calls leave their truncation in a tokenizer, and others read texts in other threads."""
        return copy.deepcopy(self._given)


def _blank(text: str, start: int) -> bool:
    """Return whether a token that starts there begins a word."""
    return text[start - 1].isspace() or text[start : start + 1].isspace()


def _last_head(heads: list[int], after: int, until: int) -> int:
    """The last of the tokens that begin a word, ascending, in (after, until]; `until` itself where there is none."""
    place = bisect_right(heads, until)
    return heads[place - 1] if place and heads[place - 1] > after else until
