"""Tables whose labels are spans of characters: in JSON Lines, in cells of CSV files, in frames."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.formats.table import Table
from headstart.kernel.errors import DataError

TEXTS = ["Ann met Bo in Rome.", "it rained"]
RECORDS = [
    [{"start": 0, "end": 3, "label": "per"}, {"start": 14, "end": 18, "label": "loc"}],
    [],
]
CANONICAL = RECORDS


def triples(spans: list[dict[str, Any]]) -> list[list[Any]]:
    return [[span["start"], span["end"], span["label"]] for span in spans]


def jsonl(folder: Path, labels: list[Any], texts: list[str] = TEXTS) -> Path:
    path = folder / "notes.jsonl"
    lines = [json.dumps({"text": text, "spans": label}) for text, label in zip(texts, labels)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def read(source: Any) -> Examples:
    return Table().read(source, Columns(text="text", label="spans"))


@pytest.mark.parametrize("write", [list, triples], ids=["records", "triples"])
def test_json_lines_hold_records_or_triples(write: Any, tmp_path: Path) -> None:
    examples = read(jsonl(tmp_path, [write(spans) for spans in RECORDS]))
    assert examples.target("spans") == CANONICAL
    assert examples.schema.targets == {"spans": "spans"}


@pytest.mark.parametrize("write", [list, triples], ids=["records", "triples"])
def test_cells_hold_json(write: Any, tmp_path: Path) -> None:
    path = tmp_path / "notes.csv"
    pd.DataFrame({"text": TEXTS, "spans": [json.dumps(write(spans)) for spans in RECORDS]}).to_csv(path, index=False)
    assert read(path).target("spans") == CANONICAL


@pytest.mark.parametrize("write", [list, triples], ids=["records", "triples"])
def test_frames_hold_lists(write: Any) -> None:
    assert (
        read(pd.DataFrame({"text": TEXTS, "spans": [write(spans) for spans in RECORDS]})).target("spans") == CANONICAL
    )


def test_other_names_of_the_same_and_more_keys_are_read(tmp_path: Path) -> None:
    span = {"id": 4, "start_offset": 0, "end_offset": 3, "label": "per"}
    assert read(jsonl(tmp_path, [[span], []])).target("spans")[0] == [{"start": 0, "end": 3, "label": "per"}]


def test_spans_come_in_order(tmp_path: Path) -> None:
    assert read(jsonl(tmp_path, [RECORDS[0][::-1], []])).target("spans") == CANONICAL


def test_no_spans_is_not_no_label(tmp_path: Path) -> None:
    assert read(jsonl(tmp_path, [RECORDS[0], None])).target("spans") == [RECORDS[0], None]


def test_spans_that_end_inside_a_word_are_counted(tmp_path: Path) -> None:
    examples = read(jsonl(tmp_path, [[{"start": 0, "end": 2, "label": "per"}], []]))
    assert any("1 of 1 spans begin or end inside a word" in note for note in examples.notes)


@pytest.mark.parametrize(
    ("spans", "fault"),
    [
        ([[0, 30, "per"]], "'per' 0-30 lies outside its text of 19 characters"),
        ([[-1, 3, "per"]], "outside"),
        ([[3, 3, "per"]], "or is empty"),
        ([[0, 7, "per"], [4, 10, "loc"]], "'per' 0-7 and 'loc' 4-10 overlap"),
        ([[0, 3, "per"], [0, 3, "loc"]], "overlap"),
        ([[3, 4, "per"]], "has no word of its own"),
        ([[0, 1, "per"], [1, 3, "loc"]], "has no word of its own"),
        ([[0, 3]], "is not a span"),
        ([[0, 3, ""]], "is not a span"),
        ([["0", 3, "per"]], "is not a span"),
        ([{"start": 0, "label": "per"}], "is not a span"),
        ([7.5], "is not a label"),
    ],
)
def test_faulty_spans_are_named_with_their_row(spans: list[Any], fault: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=fault) as caught:
        read(jsonl(tmp_path, [spans, []]))
    assert "notes.jsonl:1" in str(caught.value)


def test_a_cell_that_is_no_list_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.csv"
    pd.DataFrame({"text": TEXTS, "spans": ["[]", '[{"start": 0,']}).to_csv(path, index=False)
    with pytest.raises(DataError, match=r"notes.csv:3\) cannot be read as a list, as 1 of 2 cells can"):
        read(path)


def test_labels_in_brackets_that_are_no_lists_stay_labels(tmp_path: Path) -> None:
    path = tmp_path / "notes.csv"
    pd.DataFrame({"text": TEXTS, "spans": ["[good]", "[bad]"]}).to_csv(path, index=False)
    examples = read(path)
    assert examples.schema.targets == {"label": "spans"} and examples.target() == ["[good]", "[bad]"]


def test_spans_lie_in_one_text() -> None:
    frame = pd.DataFrame({"a": TEXTS, "b": TEXTS, "spans": RECORDS})
    with pytest.raises(DataError, match="in one text, not in a and b"):
        Table().read(frame, Columns(text=("a", "b"), label="spans"))
