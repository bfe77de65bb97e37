"""Texts that differ by one word are copies where what they share is rare, and other texts where it is a phrase."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from test_duplicates import clusters, examples, found

from headstart.contracts.format import Columns
from headstart.contracts.modality import raws_of
from headstart.evidence.clusters import Clusters
from headstart.evidence.text_likeness import near_texts
from headstart.formats.table import Table

MESSAGES = [
    "The ferry to the island was late again because of heavy fog",
    "Our new kettle leaks at the handle, so I sent it back",
    "Can you move my dentist appointment to Thursday morning?",
    "A moving portrait of two brothers who run a failing cinema",
    "Nobody answered the hotline for more than forty minutes",
    "The soup was cold but the waiter could not have been kinder",
]
EDITS: dict[str, Callable[[list[str]], list[str]]] = {
    "changed": lambda words: [*words[:3], "yesterday", *words[4:]],
    "first changed": lambda words: ["Yesterday", *words[1:]],
    "put in": lambda words: [*words[:5], "really", *words[5:]],
    "put at the end": lambda words: [*words, "really"],
    "left out": lambda words: [*words[:4], *words[5:]],
    "moved": lambda words: [*words[1:], words[0]],
    "changed, other case and punctuation": lambda words: [*words[:3], "YESTERDAY!", *map(str.upper, words[4:])],
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_text_with_one_word_edited_is_a_copy(edit: str) -> None:
    edited = [" ".join(EDITS[edit](text.split())) for text in MESSAGES]
    copies = clusters(found(examples("text", text=[*MESSAGES, *edited])))
    assert copies == [[k, k + len(MESSAGES)] for k in range(len(MESSAGES))]


def test_a_text_without_spaces_is_one_too() -> None:
    texts = ["昨日の夜は雨が降って寒かった", "昨日の夜は雪が降って寒かった", "この店のラーメンはとても美味しい"]
    assert clusters(found(examples("text", text=texts))) == [[0, 1]]


def test_two_words_are_another_text() -> None:
    texts = [MESSAGES[0], MESSAGES[0].replace("ferry", "train").replace("fog", "snow")]
    assert clusters(found(examples("text", text=texts))) == []


def test_texts_of_one_phrase_are_not_copies_of_each_other() -> None:
    cities = ["".join(random.Random(k).choices("abcdefghij", k=7)) for k in range(300)]
    orders = [f"please book me a table in {city}" for city in cities]
    assert clusters(found(examples("text", text=[*orders, *MESSAGES]))) == []


def test_short_texts_that_share_common_words_are_not() -> None:
    words = ["we", "you", "they", "see", "hear", "know", "it", "him", "her", "now", "soon", "later", "today"]
    draws = np.random.default_rng(0)
    texts = sorted({" ".join(draws.choice(words, 6)) for _ in range(400)})
    assert clusters(found(examples("text", text=texts))) == []


@pytest.mark.slow
def test_pairs_are_linked_and_not_compared_one_by_one() -> None:
    draws = np.random.default_rng(0)
    words = np.array(["".join(draws.choice(list("abcdefghij"), 6)) for _ in range(3000)])
    texts = [" ".join(row) for row in words[draws.integers(0, 3000, (20_000, 12))]]
    copies = [" ".join([*texts[k].split()[:5], "other", *texts[k].split()[6:]]) for k in range(300)]
    began = time.process_time()
    assert near_texts([*texts, *copies]) == [(k, len(texts) + k) for k in range(300)]
    assert time.process_time() - began < 20, "pairs of texts were compared one by one"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "label", "most"),
    [("text_nlupp_multilabel", "domain", 0.03), ("text_sms_spam", "label", 0.03), ("text_sst2", "label", 0.001)],
)
def test_real_texts_are_not_joined_in_masses(test_data: Path, name: str, label: str, most: float) -> None:
    texts = sorted(set(map(str, raws_of(Table().read(test_data / "data" / name, Columns(label=label))))))[:5000]
    joined = Clusters(len(texts))
    joined.join_all(near_texts(texts))
    sizes = np.bincount(joined.labels())
    assert sizes.max() <= 8
    assert sizes[sizes > 1].sum() <= 2 * most * len(texts)
