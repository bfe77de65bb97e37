"""Decoding of tags and probabilities of entities against every sequence there is."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.special import log_softmax

from headstart.tasks.tagging.chain import best_tags, entity_probabilities
from headstart.tasks.tagging.tags import Entity, TagSet

TAG_SETS = [TagSet(("loc", "per"), True), TagSet(("noun", "verb", "adj"), False), TagSet(("x",), True)]


def well_formed(tags: tuple[int, ...], names: tuple[str, ...]) -> bool:
    """As IOB2 has it, from the names alone."""
    before = "O"
    for name in (names[tag] for tag in tags):
        if name.startswith("I-") and before[2:] != name[2:]:
            return False
        before = name
    return True


def every_sequence(scores: np.ndarray, tags: TagSet) -> dict[tuple[int, ...], float]:
    words, count = scores.shape
    sequences = (s for s in product(range(count), repeat=words) if well_formed(s, tags.names))
    return {s: float(sum(scores[at, tag] for at, tag in enumerate(s))) for s in sequences}


@pytest.mark.parametrize("tags", TAG_SETS, ids=lambda tags: "-".join(tags.types))
@pytest.mark.parametrize("words", [1, 2, 3, 5])
def test_the_best_sequence_is_the_best_of_all(tags: TagSet, words: int) -> None:
    draws = np.random.default_rng(words)
    for _ in range(20):
        scores = draws.normal(0, 2, (words, len(tags.names)))
        every = every_sequence(scores, tags)
        assert tuple(best_tags(scores, tags.allowed).tolist()) == max(every, key=lambda sequence: every[sequence])


@pytest.mark.parametrize("tags", TAG_SETS, ids=lambda tags: "-".join(tags.types))
@pytest.mark.parametrize("words", [1, 2, 4])
def test_an_entity_is_as_probable_as_the_sequences_that_have_it(tags: TagSet, words: int) -> None:
    scores = log_softmax(np.random.default_rng(words).normal(0, 1.5, (words, len(tags.names))), axis=1)
    every = every_sequence(scores, tags)
    whole = sum(np.exp(total) for total in every.values())
    longest = words if tags.several_words else 1
    candidates = [
        Entity(first, stop, kind)
        for kind in range(len(tags.types))
        for first in range(words)
        for stop in range(first + 1, min(words, first + longest) + 1)
    ]
    expected = [
        sum(np.exp(total) for s, total in every.items() if entity in tags.entities(np.array(s))) / whole
        for entity in candidates
    ]
    np.testing.assert_allclose(entity_probabilities(scores, candidates, tags), expected, rtol=1e-9)


def test_a_text_without_words_has_no_tags() -> None:
    tags = TAG_SETS[0]
    assert best_tags(np.zeros((0, 5)), tags.allowed).tolist() == []
    assert entity_probabilities(np.zeros((0, 5)), [], tags).tolist() == []


def test_words_that_say_nothing_are_outside() -> None:
    assert best_tags(np.zeros((3, 5)), TAG_SETS[0].allowed).tolist() == [0, 0, 0]
