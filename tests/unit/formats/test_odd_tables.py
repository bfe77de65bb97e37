"""Tables that are damaged, or wider than most: what cannot be read is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from headstart.contracts.format import Columns
from headstart.contracts.modality import raws_of
from headstart.formats.table import Table
from headstart.kernel.errors import DataError

ROWS = 30


def good() -> pa.Table:
    texts = [f"a sentence with the number {k}" for k in range(ROWS)]
    return pa.table({"text": texts, "label": ["ab"[k % 2] for k in range(ROWS)]})


def saved(path: Path, column: str, values: pa.Array) -> Path:
    table = good()
    place = table.column_names.index(column) if column in table.column_names else None
    parquet.write_table(
        table.append_column(column, values) if place is None else table.set_column(place, column, values), path
    )
    return path


@pytest.mark.parametrize("column", ["text", "label", "more"])
@pytest.mark.parametrize("kind", ["bytes", "dates"])
def test_columns_of_parquet_that_hold_no_text_or_no_date_are_named(tmp_path: Path, column: str, kind: str) -> None:
    offsets = pa.array(range(ROWS + 1), pa.int32()).buffers()[1]
    bad = {
        "bytes": pa.Array.from_buffers(pa.string(), ROWS, [None, offsets, pa.py_buffer(b"\xff" * ROWS)]),
        "dates": pa.array([2**40] * ROWS, pa.timestamp("s")),
    }[kind]
    path = saved(tmp_path / "data.parquet", column, bad)
    with pytest.raises(DataError, match=rf"data\.parquet: column '{column}' is damaged"):
        Table().read(path, Columns())
    if column == "text":
        with pytest.raises(DataError, match=r"data\.parquet: column 'text' is damaged"):
            list(Table().stream(path, Columns(text=("text",)), 10))


def test_damaged_pages_of_parquet_are_named(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    parquet.write_table(good(), path, use_dictionary=False)
    content = bytearray(path.read_bytes())
    at = content.index(b"a sentence")
    content[at - 4 : at + 40] = b"\xff" * 44
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"data\.parquet"):
        Table().read(path, Columns())


@pytest.mark.parametrize("end", [b"\x00\xd8A\x00,\x00a\x00\n\x00", b"\x00"])
def test_what_begins_as_utf_16_and_is_not_is_named(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(b"\xff\xfe" + "text,label\nhello there,a\n".encode("utf-16-le") + end)
    with pytest.raises(DataError, match=r"data\.csv begins as UTF-16 and is not"):
        Table().read(path, Columns())


def test_two_columns_of_one_name_are_refused_where_a_model_predicts_too(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("a,b,a\n1,2,3\n")
    with pytest.raises(DataError, match="more than one column called 'a'"):
        list(Table().stream(path, Columns(numeric=("a", "b")), 10))


@pytest.mark.slow
def test_thousands_of_columns_keep_their_values_and_order(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(20, 3000))
    frame = pd.DataFrame(values, columns=[f"c{k}" for k in range(3000)])
    frame["label"] = ["a", "b"] * 10
    examples = Table().read(frame, Columns())
    assert examples.schema.inputs == tuple(frame.columns[:-1])
    np.testing.assert_array_equal(np.stack(raws_of(examples)), values)  # type: ignore[arg-type]


def test_errors_list_some_of_many_columns() -> None:
    frame = pd.DataFrame({f"c{k}": ["a word"] * 3 for k in range(500)})
    with pytest.raises(DataError, match="and 450 more") as fault:
        Table().read(frame, Columns(label="c3"))
    assert len(str(fault.value)) < 5000


@pytest.mark.parametrize("value", ['"\\ud800"', "[" * 5000 + "]" * 5000, "9" * 5000])
@pytest.mark.parametrize("field", ["text", "label", "more"])
def test_json_that_no_table_can_hold_is_named_by_its_line(tmp_path: Path, value: str, field: str) -> None:
    rows = ['{"text": "a sentence", "label": "a"}\n'] * 5
    (tmp_path / "data.jsonl").write_text("".join(rows) + f'{{"text": "b", "label": "b", "{field}": {value}}}\n')
    with pytest.raises(DataError, match=r"data\.jsonl:6 cannot be read as JSON"):
        Table().read(tmp_path / "data.jsonl", Columns())
