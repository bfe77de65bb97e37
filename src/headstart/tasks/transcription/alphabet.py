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
SHOWN = 20
"""Characters that are named in a sentence."""
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


def in_case_of(alphabet: Sequence[str], transcripts: Iterable[str]) -> tuple[str, ...]:
    """The alphabet in the case of the transcripts, where it has one case alone and most of their letters the other."""
    known, said = "".join(alphabet), "".join(transcripts)
    upper, lower = sum(map(str.isupper, said)), sum(map(str.islower, said))
    if known.upper() == known and lower > upper:
        changed = [character.lower() for character in alphabet]
    elif known.lower() == known and upper > lower:
        changed = [character.upper() for character in alphabet]
    else:
        return tuple(alphabet)
    return tuple(new if len(new) == 1 else old for new, old in zip(changed, alphabet))


def strange(transcripts: Iterable[str], alphabet: Iterable[str]) -> Counter[str]:
    """Characters that the alphabet lacks, with how often each occurs."""
    known = {*alphabet}
    return Counter(character for text in transcripts for character in text if character not in known)


def counted(counts: Counter[str]) -> str:
    """Characters with how often each occurs, the most frequent ones, in words."""
    more = "" if len(counts) <= SHOWN else f" and {len(counts) - SHOWN} others"
    return ", ".join(f"{character!r} {number}" for character, number in counts.most_common(SHOWN)) + more


def normalised(text: str) -> str:
    """The transcript by `NORMALISER`."""
    plain = unicodedata.normalize("NFKC", text).lower().replace("’", "'")
    kept = "".join(c if c == "'" or unicodedata.category(c)[0] not in "PSC" else " " for c in plain)
    return " ".join(_DROPPED.sub(" ", kept).split())
