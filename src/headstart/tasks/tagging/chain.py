"""Well-formed tag sequences: the most probable one, and how probable an entity is among all of them.

Words are independent given the text, but a sequence must obey which tag may follow which. Its probability is then

    P(y) = prod_t p_t(y_t) / Z  over well-formed y,   Z their sum.

The best y is found by Viterbi (1967), sums over y by the forward-backward recursion (Rabiner 1989).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import logsumexp

from headstart.tasks.tagging.tags import Entity, TagSet


def best_tags(scores: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """(words,) int64: the well-formed tags with the largest sum of scores (words, tags); of equals the first.

    Args:
        scores: log probabilities, each word's up to a constant.
        allowed: (tags + 1, tags), as `TagSet.allowed`.
    """
    words, tags = scores.shape
    if not words:
        return np.zeros(0, np.int64)
    steps, start = _steps(allowed)
    back = np.zeros((words, tags), np.int64)
    total = start + scores[0]
    for at in range(1, words):
        candidates = total[:, None] + steps
        back[at] = candidates.argmax(axis=0)
        total = candidates[back[at], np.arange(tags)] + scores[at]
    path = np.empty(words, np.int64)
    path[-1] = total.argmax()
    for at in range(words - 1, 0, -1):
        path[at - 1] = back[at, path[at]]
    return path


def entity_probabilities(scores: np.ndarray, entities: Sequence[Entity], tags: TagSet) -> np.ndarray:
    """(entities,) in [0, 1]: the probability of exactly this entity among well-formed sequences.

    Args:
        scores: (words, tags) log probabilities.
        entities: of these words.
        tags: what the columns of `scores` are.
    """
    if not entities:
        return np.zeros(0)
    steps, start = _steps(tags.allowed)
    words = len(scores)
    before, after = np.empty_like(scores), np.zeros_like(scores)
    before[0] = start + scores[0]
    for at in range(1, words):
        before[at] = logsumexp(before[at - 1][:, None] + steps, axis=0) + scores[at]
    for at in range(words - 2, -1, -1):
        after[at] = logsumexp(steps + (scores[at + 1] + after[at + 1])[None, :], axis=1)
    whole = logsumexp(before[-1])
    begin_of = np.flatnonzero(tags.begins)
    found = []
    for first, stop, kind in entities:
        begin = begin_of[kind]
        inside = begin + 1
        log_probability = (
            before[first, begin] + scores[first + 1 : stop, inside].sum() if stop > first + 1 else before[first, begin]
        )
        if stop < words:
            ends = steps[begin] + scores[stop] + after[stop]
            if tags.several_words:
                ends[inside] = -np.inf
            log_probability += logsumexp(ends)
        found.append(min(float(np.exp(log_probability - whole)), 1.0))
    return np.array(found)


def _steps(allowed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(tags, tags) and (tags,): 0 where a tag may follow, or begin a text, minus infinity elsewhere."""
    with np.errstate(divide="ignore"):
        costs = np.log(allowed.astype(np.float64))
    return costs[:-1], costs[-1]
