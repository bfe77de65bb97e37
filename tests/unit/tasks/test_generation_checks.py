"""Cheap checks of pairs of texts, and how differences between texts are marked."""

from __future__ import annotations

import pyarrow as pa
import pytest
from test_generation import examples, pairs

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.panels import Mark
from headstart.contracts.presentation import review_of
from headstart.present.report.marks import marked
from headstart.tasks._text_differences import differences
from headstart.tasks.generation.language_check import exchanged, looks_like, named_otherwise, tokenised
from headstart.tasks.generation.task import Generation
from tiny_translators import translator

ENGLISH, FRENCH = zip(*pairs(60))


def swapped(rows: set[int]) -> tuple[list[str], list[str]]:
    both = [(fr, en) if row in rows else (en, fr) for row, (en, fr) in enumerate(zip(ENGLISH, FRENCH))]
    return [one for one, _ in both], [other for _, other in both]


@pytest.mark.parametrize("rows", [set(), {7}, {0, 11, 40}])
def test_pairs_whose_languages_are_exchanged_are_found(rows: set[int]) -> None:
    assert exchanged(*swapped(rows)) == sorted(rows)


def review(reads: list[str], writes: list[str], names: tuple[str, str] = ("en", "fr")) -> tuple[str, ...]:
    table = pa.table({names[0]: reads, names[1]: writes, "origin": [f"row {row}" for row in range(len(reads))]})
    schema = Schema(modality="text", inputs=names[:1], targets={"label": names[1]}, origin="origin")
    found = review_of(Generation, Examples(table, schema))
    assert found is not None
    return found.warnings


def test_warnings_name_rows_and_count_them() -> None:
    assert review(*swapped(set())) == ()
    (said,) = review(*swapped({3, 5}))
    assert said == "in 2 of 60 pairs the two languages look exchanged: row 3, row 5"
    spaced = [text.replace(".", " .") for text in FRENCH[:40]]
    (said,) = review(list(ENGLISH), [*spaced, *FRENCH[40:]])
    assert said.startswith("40 of 60 texts to write have a space before") and "BLEU is not comparable" in said
    assert tokenised(["Est-ce vrai ?", "Oui ; et non !"] * 9) == 0, "French has spaces before other signs"


def test_texts_that_are_not_translated_are_told_where_columns_are_languages() -> None:
    same = [*ENGLISH[:2], *FRENCH[2:]]
    (said,) = review(list(ENGLISH), same)
    assert said == "2 of 60 texts to write are the text that is read, not translated: row 0, row 1"
    assert review(list(ENGLISH), same, ("wrong", "corrected")) == ()


def test_columns_that_hold_each_others_language_are_told() -> None:
    german = ["der Hund ist mit dem Mann auf der Straße", "die Frau und das Kind in einem Haus"]
    english = ["the dog is with the man on the street", "the woman and the child in a house"]
    assert named_otherwise(german, english, ("en", "de")) and not named_otherwise(english, german, ("en", "de"))
    assert not named_otherwise(german, english, ("source", "target"))
    (said, *_) = review(german, english, ("en_GB", "de_DE"))
    assert "--text de_DE --label en_GB reads them the other way round" in said


def test_a_model_tells_of_texts_in_the_language_that_it_writes() -> None:
    task = Generation(longest=40).bind(examples(), translator())
    assert {"the", "and"} <= {*task.reads} and {"le", "et"} <= {*task.writes}
    french = Examples(pa.table({"en": FRENCH, "origin": FRENCH}), Schema(modality="text", inputs=("en",), origin="en"))
    assert "looks like" not in " ".join(task.warnings(examples())) and task.warnings(examples()) == ()
    assert "the language that the model writes" in task.warnings(french)[0]
    assert not looks_like(["something else"], task.reads, task.writes)


def test_differences_are_marked_in_both_texts() -> None:
    missing, extra = differences("the red cat sat  down", "the cat sits down now")
    assert missing == (Mark(start=4, end=7, label=""), Mark(start=12, end=15, label=""))
    assert extra == (Mark(start=8, end=12, label=""), Mark(start=18, end=21, label=""))
    assert str(marked("the <b> cat", (Mark(start=4, end=7, label=""),))) == "the <mark>&lt;b&gt;</mark> cat"
    assert differences("same", "same") == ((), ()) and differences("", "a b") == ((), (Mark(start=0, end=3, label=""),))
