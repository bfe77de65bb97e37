"""Texts that differ by one word: changed, put in, left out, or moved.

Each text is hashed once as it is and once without each of its words. Texts that differ by one word share a hash
(deletion neighbourhoods, Mor & Fraenkel 1982), so no pairs are compared. The hash is a polynomial of the words' numbers
modulo 2^64; two prefix sums give it without a word.

Many short texts differ by one word and are not copies: "see you later", "see you soon". So what two texts share must be
too rare to come up twice by chance. Let p(w) be the share of the other texts that have word w. A text of independent
words has all the shared ones with probability 2^-I, where I is the sum of -log2 p(w). Of n texts n^2/2 pairs can meet,
so I must be at least 2 log2 n. A phrase that many texts have is made of frequent words, and falls short.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headstart.media.words import words_of

FEWEST_SHARED = 4
"""Words that two texts must share."""
MOST_WORDS = 100
"""Texts of more words are left to their shingles, of which one word changes few."""
FEWEST_TEXTS = 256
"""The number of texts n is taken to be at least this: among few texts, words look rarer than they are."""

_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 1 << 64)
_SPREAD = np.uint64(0xBF58476D1CE4E5B9)


def edited_texts(texts: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs that link texts which differ by one word: not all pairs of a cluster, but enough to connect it.

    Args:
        texts: distinct, normalised.

    Returns:
        Pairs of indices, the smaller first, sorted.
    """
    words = [[text[start:end] for start, end in words_of(text)] for text in texts]
    chosen = [index for index, some in enumerate(words) if FEWEST_SHARED <= len(some) <= MOST_WORDS]
    if len(chosen) < 2:
        return []
    numbers: dict[str, int] = {}
    flat = np.array([numbers.setdefault(word, len(numbers)) for index in chosen for word in words[index]], np.int64)
    lengths = np.array([len(words[index]) for index in chosen], np.int64)
    owner = np.repeat(np.arange(len(chosen)), lengths)
    surprise = _surprise(flat, owner, len(chosen), len(numbers))
    total = np.bincount(owner, surprise, minlength=len(chosen))
    whole, without = _hashes(flat, owner, lengths)
    enough = 2 * np.log2(max(FEWEST_TEXTS, len(chosen)))
    rare = (total[owner] - surprise >= enough) & (lengths[owner] > FEWEST_SHARED)
    long = total >= enough
    keys = np.concatenate([whole[long], without[rare]])
    members = np.concatenate([np.flatnonzero(long), owner[rare]])
    linked = {(chosen[min(a, b)], chosen[max(a, b)]) for a, b in _links(keys, members)}
    return sorted(linked)


def _surprise(flat: np.ndarray, owner: np.ndarray, texts: int, words: int) -> np.ndarray:
    """(words of all texts,) bits: -log2 of the share of other texts that have the word; 0 where a text repeats it."""
    first = np.zeros(len(flat), bool)
    first[np.unique(owner * words + flat, return_index=True)[1]] = True
    others = np.maximum(np.bincount(flat[first], minlength=words) - 2, 0)  # than the two that are alike
    return np.where(first, np.log2((texts + 1) / (others + 0.5))[flat], 0.0)


def _hashes(flat: np.ndarray, owner: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each text as it is (texts,), and without each of its words (words of all texts,)."""
    stops = np.cumsum(lengths)
    starts = stops - lengths
    powers = np.full(int(lengths.max()), _BASE, np.uint64)
    powers[0] = 1
    powers = np.multiply.accumulate(powers)
    spread = (flat.astype(np.uint64) + np.uint64(1)) * _SPREAD
    terms = (spread ^ (spread >> np.uint64(29))) * powers[np.arange(len(flat)) - starts[owner]]
    after = np.cumsum(terms)
    before = after - terms
    begin, end = before[starts], after[stops - 1]
    return end - begin, before - begin[owner] + (end[owner] - after) * np.uint64(_INVERSE)


def _links(keys: np.ndarray, members: np.ndarray) -> set[tuple[int, int]]:
    """Each member that has a key in common with others, with the first of them."""
    order = np.argsort(keys, kind="stable")
    keys, members = keys[order], members[order]
    if not len(keys):
        return set()
    begins = np.concatenate([[True], keys[1:] != keys[:-1]])
    firsts = members[np.flatnonzero(begins)][np.cumsum(begins) - 1]
    differ = firsts != members
    return set(zip(firsts[differ].tolist(), members[differ].tolist()))
