"""Differences between a true text and a predicted one, word by word, as marks in both."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from headstart.contracts.panels import Mark

_WORD = re.compile(r"\S+")


def differences(truth: str, predicted: str) -> tuple[tuple[Mark, ...], tuple[Mark, ...]]:
    """Return the parts of the truth that the prediction lacks, and the parts of the prediction that are not true."""
    true_words, found_words = ([*_WORD.finditer(text)] for text in (truth, predicted))
    one, other = ([word.group() for word in words] for words in (true_words, found_words))
    steps = SequenceMatcher(None, one, other, autojunk=False).get_opcodes()
    missing: list[Mark] = []
    extra: list[Mark] = []
    for kind, first, last, start, stop in steps:
        if kind != "equal":
            missing += _marks(true_words[first:last])
            extra += _marks(found_words[start:stop])
    return tuple(missing), tuple(extra)


def _marks(words: Sequence[re.Match[str]]) -> list[Mark]:
    """One mark over words that follow one another; none over none."""
    return [Mark(start=words[0].start(), end=words[-1].end(), label="")] if words else []
