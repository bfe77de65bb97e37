"""Words of raw text and the words that spans cover."""

from __future__ import annotations

import pytest

from headstart.media.words import Covered, covered_words, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ann lives in Rome.", ["Ann", "lives", "in", "Rome", "."]),
        ("@ann_lee: #rain, isn't it?", ["@ann_lee", ":", "#rain", ",", "isn", "'", "t", "it", "?"]),
        ("  日本 \t🙂é\n", ["日", "本", "🙂", "é"]),
        ("我住在New York。", ["我", "住", "在", "New", "York", "。"]),
        ("e\u0301te\u0301. हिन्दी है", ["e\u0301te\u0301", ".", "हिन्दी", "है"]),
        ("❤\ufe0f\u2764 ที่", ["❤\ufe0f", "\u2764", "ที่"]),
        ("ที่นี่ می\u200cخواهم a\u200bb", ["ที่", "นี่", "می\u200cخواهم", "a", "\u200b", "b"]),
        ("a@b # 3.5", ["a", "@b", "#", "3", ".", "5"]),
        (" \n", []),
    ],
)
def test_words_are_runs_of_letters_and_single_marks(text: str, words: list[str]) -> None:
    assert [text[start:end] for start, end in words_of(text)] == words


def test_spans_cover_words_whole_and_say_when_they_did_not() -> None:
    words = words_of("New York is far")
    assert covered_words(words, [(0, 8), (12, 15)]) == [Covered(0, 2, True), Covered(3, 4, True)]
    assert covered_words(words, [(1, 6)]) == [Covered(0, 2, False)]
    assert covered_words(words, [(0, 4), (4, 9)]) == [Covered(0, 1, True), Covered(1, 2, True)]


def test_a_word_belongs_to_the_first_span_that_has_it() -> None:
    words = words_of("NewYork is")
    assert covered_words(words, [(0, 3), (3, 7), (8, 10)]) == [Covered(0, 1, False), None, Covered(1, 2, True)]
    assert covered_words(words_of("a  b"), [(1, 2)]) == [None]
