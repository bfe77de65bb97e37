"""Near-duplicate texts: equal but for case, punctuation, spaces or one word, or with nearly the same 5-letter shingles.

Two texts are alike when the Jaccard index of their shingle sets is at least 0.9 (Broder, "On the resemblance and
containment of documents", 1997). Candidates share all minima of one of 12 bands of 5 hash functions (MinHash with
locality-sensitive hashing, Indyk & Motwani 1998), taken over the 256 smallest shingle hashes of each text; the index is
then computed on the whole sets. That is for long texts; see `word_edits` for one word of a shorter one.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from headstart.evidence.word_edits import edited_texts

LEAST_JACCARD = 0.9
"""Least Jaccard index of two near duplicates' shingle sets, in [0, 1]."""
LEAST_LETTERS = 64
"""Normalised texts shorter than this have too few shingles to be compared by them."""

_SHINGLE = 5
_BANDS, _PER_BAND = 12, 5
_SKETCH = 256
_MOST_COMPARED = 64
"""Members of one bucket that a text is compared with at most."""
_ODD = np.uint64(0x9E3779B97F4A7C15)


class _Spaces(dict[int, str]):
    """Translation of punctuation, separators and control characters to a space; symbols such as emoji stay."""

    def __missing__(self, code: int) -> str:
        letter = chr(code)
        self[code] = " " if unicodedata.category(letter)[0] in "PZC" else letter
        return self[code]


_SPACES = _Spaces()


def normalised(text: str) -> str:
    """The text without case, punctuation and runs of spaces; a text of nothing else stays as it is."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.translate(_SPACES).split()) or " ".join(folded.split())


def near_texts(texts: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs that link near duplicates: not all pairs of a cluster, but enough to connect it.

    Args:
        texts: each of another content; empty ones are like nothing.

    Returns:
        Pairs of indices, the smaller first, sorted.
    """
    plain = [normalised(text) for text in texts]
    first: dict[str, int] = {}
    pairs = []
    for index, text in enumerate(plain):
        if text and first.setdefault(text, index) != index:
            pairs.append((first[text], index))
    distinct = [index for text, index in first.items() if len(text) >= LEAST_LETTERS]
    shingles = [_shingles(plain[index]) for index in distinct]
    pairs += [(distinct[one], distinct[other]) for one, other in _alike(shingles)]
    whole = [index for text, index in first.items() if text]
    pairs += [(whole[one], whole[other]) for one, other in edited_texts([plain[index] for index in whole])]
    return sorted({(min(pair), max(pair)) for pair in pairs})


def _shingles(text: str) -> np.ndarray:
    """Sorted distinct 64-bit hashes of the text's shingles."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    hashes = np.zeros(len(codes) - _SHINGLE + 1, np.uint64)
    for offset in range(_SHINGLE):
        hashes = _mixed(hashes ^ codes[offset : offset + len(hashes)])
    return np.unique(hashes)


def _mixed(values: np.ndarray) -> np.ndarray:
    """A bijection of 64-bit numbers that spreads every bit: multiply, then fold the upper half down."""
    values = (values + _ODD) * np.uint64(0xBF58476D1CE4E5B9)
    return values ^ (values >> np.uint64(31))


def _alike(shingles: Sequence[np.ndarray]) -> Iterator[tuple[int, int]]:
    if len(shingles) < 2:
        return
    for band in _signatures(shingles):
        buckets: defaultdict[bytes, list[int]] = defaultdict(list)
        for index, key in enumerate(band):
            unlike = buckets[key]
            match = next((other for other in unlike[:_MOST_COMPARED] if _same(shingles[other], shingles[index])), None)
            if match is None:
                unlike.append(index)
            else:
                yield match, index


def _signatures(shingles: Sequence[np.ndarray]) -> Iterator[list[bytes]]:
    """For each band, each text's bucket."""
    sketches = [hashes[:_SKETCH] for hashes in shingles]
    starts = np.cumsum([0, *map(len, sketches[:-1])])
    joined = np.concatenate(sketches)
    for band in range(_BANDS):
        seeds = _mixed(np.arange(band * _PER_BAND, (band + 1) * _PER_BAND, dtype=np.uint64))
        minima = np.stack([np.minimum.reduceat(_mixed(joined ^ seed), starts) for seed in seeds], axis=1)
        yield [row.tobytes() for row in minima]


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    if min(len(one), len(other)) < LEAST_JACCARD * max(len(one), len(other)):
        return False
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared >= LEAST_JACCARD * (len(one) + len(other) - shared)
