"""Words and tags in columns of lists are read as CoNLL files are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.contracts.modality import raws_of
from headstart.formats.table import Table
from headstart.kernel.errors import DataError

ROWS = [
    {"id": 1, "tokens": ["Ann", "Lee", "left", "Rome"], "ner_tags": ["B-per", "I-per", "O", "B-loc"]},
    {"id": 2, "tokens": ["Why", "?"], "ner_tags": ["O", "O"]},
    {"id": 3, "tokens": [], "ner_tags": []},
]


def jsonl(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "notes.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(source: Any, **columns: Any) -> Examples:
    return Table().read(source, Columns(**columns))


@pytest.mark.parametrize("columns", [{}, {"text": "tokens", "label": "ner_tags"}, {"text": "text"}])
def test_words_become_texts_and_tags_spans(columns: dict[str, str], tmp_path: Path) -> None:
    for source in (jsonl(tmp_path, ROWS), pd.DataFrame(ROWS)):
        examples = read(source, **columns)
        assert raws_of(examples) == ["Ann Lee left Rome", "Why ?", ""]
        assert examples.target("spans") == [
            [{"start": 0, "end": 7, "label": "per"}, {"start": 13, "end": 17, "label": "loc"}],
            [],
            [],
        ]
        words = examples.column(str(examples.schema.words))
        assert words[1] == [{"start": 0, "end": 3}, {"start": 4, "end": 5}]
        assert "the tags were read as IOB2" in examples.notes


def test_tags_are_recognised_however_they_are_spelt(tmp_path: Path) -> None:
    spelt = [{**row, "ner_tags": [tag.lower().replace("-", "_") for tag in row["ner_tags"]]} for row in ROWS]
    assert read(jsonl(tmp_path, spelt)).target("spans") == read(pd.DataFrame(ROWS)).target("spans")


def test_words_alone_are_streamed_as_texts_with_their_words(tmp_path: Path) -> None:
    path = jsonl(tmp_path, [{"tokens": row["tokens"]} for row in ROWS])
    (first, second) = Table().stream(path, Columns(text=("text",)), 2)
    assert raws_of(first) + raws_of(second) == ["Ann Lee left Rome", "Why ?", ""] and first.schema.words is not None


def test_lists_beside_a_text_are_no_tags_unless_they_go_with_the_words(tmp_path: Path) -> None:
    rows = [{"text": "Ann left.", "tokens": ["Ann", "left", "."], "labels": ["news", "people"]}] * 3
    examples = read(jsonl(tmp_path, rows))
    assert examples.schema.words is None and examples.target() == [["news", "people"]] * 3


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"ner_tags": ["B-per"]}, r"notes\.jsonl:2, column 'ner_tags': 2 words and 1 tags"),
        ({"ner_tags": ["O", ""]}, r"notes\.jsonl:2, column 'ner_tags': '' is not a tag"),
        ({"ner_tags": ["O", "I-per"]}, r"notes\.jsonl:2, column 'ner_tags', word 2: tag 'I-per' follows no tag"),
        ({"tokens": ["New York", "?"]}, r"notes\.jsonl:2, column 'tokens': a word is empty or has a space in it"),
    ],
)
def test_faults_are_named_with_their_row(change: dict[str, list[str]], fault: str, tmp_path: Path) -> None:
    needless = {"id": 4, "tokens": ["a", "b", "c"], "ner_tags": ["B-per", "O", "B-loc"]}
    with pytest.raises(DataError, match=fault):
        read(jsonl(tmp_path, [ROWS[0], {**ROWS[1], **change}, needless]))


def test_tags_that_are_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"3 is not a tag\. Write tags as text"):
        read(jsonl(tmp_path, [{"tokens": ["Ann", "left"], "ner_tags": [3, 0]}] * 2))
