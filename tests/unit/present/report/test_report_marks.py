"""Texts with their labelled places marked."""

from __future__ import annotations

from headstart.contracts.panels import Mark
from headstart.present.report.marks import MOST_LETTERS, marked


def test_places_are_marked_with_their_labels() -> None:
    shown = marked("Ann met Bo.", [Mark(start=0, end=3, label="per"), Mark(start=8, end=10, label="per")])
    assert shown == "<mark>Ann <small>per</small></mark> met <mark>Bo <small>per</small></mark>."


def test_nothing_of_a_text_is_taken_for_html() -> None:
    shown = marked("<b>&Ann</b>", [Mark(start=3, end=7, label="<i>")])
    assert shown == "&lt;b&gt;<mark>&amp;Ann <small>&lt;i&gt;</small></mark>&lt;/b&gt;"


def test_long_texts_are_cut_before_a_mark_that_does_not_fit() -> None:
    text = "a" * MOST_LETTERS + "b"
    shown = marked(
        text, [Mark(start=0, end=1, label="x"), Mark(start=MOST_LETTERS - 1, end=MOST_LETTERS + 1, label="y")]
    )
    assert "<small>x" in shown and "<small>y" not in shown and shown.endswith("a…")
