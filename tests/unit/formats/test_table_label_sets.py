"""Tables whose labels are sets: lists of names, JSON of them, or a column of 0 and 1 for each label."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pytest

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.formats.table import Table
from headstart.kernel.errors import DataError

TEXTS = ["a red ball of the round kind", "nothing to be seen here", "a big round thing indeed"]
SETS = [["red", "round"], [], ["big", "round"]]
FLAGS = pd.DataFrame({"text": TEXTS, "big": [0, 0, 1], "red": [1, 0, 0], "round": [True, False, True]})


def read(source: Any, *, labelled: bool = True, **columns: Any) -> Examples:
    return Table().read(source, Columns(text="text", **columns), labelled=labelled)


@pytest.mark.parametrize("form", ["jsonl", "parquet", "frame", "csv", "dataset"])
def test_lists_of_names_are_labels_of_a_text_and_no_spans(form: str, tmp_path: Path) -> None:
    frame, path = pd.DataFrame({"text": TEXTS, "labels": SETS}), tmp_path / f"t.{form}"
    source: Any = path
    if form == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    elif form == "parquet":
        frame.to_parquet(path)
    elif form == "csv":
        frame.assign(labels=[json.dumps(names) for names in SETS]).to_csv(path, index=False)
    else:
        source = frame if form == "frame" else datasets.Dataset.from_pandas(frame)
    examples = read(source)
    assert examples.schema.targets == {"label": "labels"}
    assert [json.loads(v) if isinstance(v, str) else v for v in examples.target()] == SETS


def test_numbers_of_classes_in_lists_become_their_names() -> None:
    names = datasets.ClassLabel(names=["big", "red", "round"])
    features = datasets.Features({"text": datasets.Value("string"), "labels": datasets.Sequence(names)})
    data = datasets.Dataset.from_dict({"text": TEXTS, "labels": [[1, 2], [], [0, 2]]}, features=features)
    assert read(data).target() == SETS


def test_columns_of_zeros_and_ones_are_a_set() -> None:
    examples = read(FLAGS, label=["big", "red", "round"])
    assert examples.target() == [["red", "round"], [], ["big", "round"]]
    assert examples.schema.inputs == ("text",) and examples.schema.targets == {"label": "big, red, round"}


def test_columns_of_labels_are_no_inputs_of_a_table_of_numbers() -> None:
    frame = pd.DataFrame({"x": [0.5, 1.5, 2.5], "a": [0, 1, 1], "b": [1, 1, 0]})
    assert Table().read(frame, Columns(label=("a", "b"))).schema.inputs == ("x",)


def test_one_label_column_given_as_a_list_is_that_column() -> None:
    assert Columns(label=["stars"]) == Columns(label="stars")
    assert Columns(label=["a", "b"]).labels == ("a", "b") and Columns(label=["a", "b"]).label is None


def test_a_label_that_nobody_has_is_left_out_and_told() -> None:
    examples = read(FLAGS.assign(blue=0), label=["big", "red", "round", "blue"])
    assert any("no example has them: blue" in note for note in examples.notes)


@pytest.mark.parametrize("value", [2, None, "yes", 0.5])
def test_another_value_than_0_and_1_is_named_with_its_row(value: Any) -> None:
    frame = FLAGS.assign(red=pd.Series([1, value, 0], dtype=object))
    with pytest.raises(DataError, match=r"row [01], column 'red': .* is neither 0 nor 1"):
        read(frame, label=["big", "red", "round"])


def test_a_label_column_that_is_not_there_is_named() -> None:
    with pytest.raises(DataError, match=r"--label rde: .*Did you mean 'red'"):
        read(FLAGS, label=["big", "rde"])


def test_prediction_needs_no_label_columns() -> None:
    assert read(FLAGS[["text"]], labelled=False, label=["big", "red"]).schema.targets == {}


def test_a_part_without_the_label_columns_is_left_out(tmp_path: Path) -> None:
    FLAGS.to_csv(tmp_path / "train.csv", index=False)
    FLAGS[["text"]].to_csv(tmp_path / "test.csv", index=False)
    examples = read(tmp_path, label=["big", "red", "round"])
    assert len(examples) == 3 and any("3 rows of test left out" in note for note in examples.notes)
