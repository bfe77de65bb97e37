"""Characters of transcripts as numbers, and the normaliser by which figures forgive case and punctuation."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

BLANK, STRANGE = 0, 1
"""Numbers of CTC's blank, and of a character that is not in the alphabet; the alphabet's own follow."""
FIRST = 2
UNKNOWN = "\ufffd"
"""What a character outside the alphabet is shown as."""

NORMALISER = "basic: Unicode NFKC, lower case, no punctuation or symbols but apostrophes within words, single spaces"

_DROPPED = re.compile(r"(?<!\w)'|'(?!\w)")


def characters(transcripts: Iterable[str]) -> tuple[str, ...]:
    """The characters of some transcripts, sorted."""
    return tuple(sorted({character for text in transcripts for character in text}))


def encoded(text: str, alphabet: Mapping[str, int]) -> np.ndarray:
    """Numbers (characters,) int64 of a transcript."""
    return np.array([alphabet.get(character, STRANGE) for character in text], np.int64)


def decoded(numbers: Iterable[int], alphabet: Sequence[str]) -> str:
    """The transcript of numbers; blanks are left out, and so is what fills up a batch."""
    return "".join(UNKNOWN if n == STRANGE else alphabet[n - FIRST] for n in map(int, numbers) if n > BLANK)


def strange(transcripts: Iterable[str], alphabet: Iterable[str]) -> Counter[str]:
    """Characters that the alphabet lacks, with how often each occurs."""
    known = {*alphabet}
    return Counter(character for text in transcripts for character in text if character not in known)


def normalised(text: str) -> str:
    """The transcript by `NORMALISER`."""
    plain = unicodedata.normalize("NFKC", text).lower().replace("’", "'")
    kept = "".join(c if c == "'" or unicodedata.category(c)[0] not in "PSC" else " " for c in plain)
    return " ".join(_DROPPED.sub(" ", kept).split())
