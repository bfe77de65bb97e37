"""Sizes and times in words."""

from __future__ import annotations

import pytest

from headstart.pipeline.numbers import ago_text, bytes_text, in_sentence


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (4_310_000, "4.31 MB"), (88_200, "88.2 kB"), (2 * 10**10, "20.0 GB")],
)
def test_bytes(count: int, text: str) -> None:
    assert bytes_text(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3600, "in the future"),
        (-3, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (7199, "1 hour ago"),
        (3 * 86400, "3 days ago"),
    ],
)
def test_how_long_ago(seconds: float, text: str) -> None:
    assert ago_text(seconds) == text


@pytest.mark.parametrize(
    ("title", "said"), [("Accuracy", "accuracy"), ("Macro F1", "macro F1"), ("F1", "F1"), ("ROC AUC", "ROC AUC")]
)
def test_a_title_in_a_sentence_keeps_its_abbreviations(title: str, said: str) -> None:
    assert in_sentence(title) == said
