"""Tables as people have them: packed, in workbooks, databases, JSON of several shapes, shards and saved data sets."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import sqlite3
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import datasets
import openpyxl
import pandas as pd
import pytest

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.contracts.modality import raws_of
from headstart.formats.table import Table
from headstart.kernel.errors import DataError
from headstart.pipeline.data import read_examples

TEXTS = ["I loved every minute of it", "what a waste, of time", "not bad, not «good»"]
LABELS = ["good", "bad", "good"]
FRAME = pd.DataFrame({"text": TEXTS, "label": LABELS})
CSV = FRAME.to_csv(index=False).encode()
LINES = FRAME.to_json(orient="records", lines=True, force_ascii=False).encode()
COLUMNS = {"text": TEXTS, "label": LABELS}
RECORDS = FRAME.to_dict("records")

FILES: dict[str, bytes] = {
    "a.csv.gz": gzip.compress(CSV),
    "a.csv.bz2": bz2.compress(CSV),
    "a.csv.xz": lzma.compress(CSV),
    "packed.csv": gzip.compress(CSV),
    "a.tsv.gz": gzip.compress(FRAME.to_csv(index=False, sep="\t").encode()),
    "a.jsonl.gz": gzip.compress(LINES),
    "utf16.csv": CSV.decode().encode("utf-16"),
    "utf32.csv": CSV.decode().encode("utf-32"),
    "latin.csv": CSV.decode().encode("latin-1"),
    "utf16.jsonl": LINES.decode().encode("utf-16"),
    "latin.jsonl": LINES.decode().encode("latin-1"),
    "records.json": json.dumps(RECORDS).encode(),
    "utf16.json": json.dumps(RECORDS, ensure_ascii=False).encode("utf-16"),
    "lines.json": LINES,
    "within.json": json.dumps({"version": 2, "data": RECORDS, "licenses": [{"name": "a"}]}).encode(),
    "columns.json": json.dumps(COLUMNS).encode(),
    "frame.json": FRAME.to_json().encode(),
    "split.json": FRAME.to_json(orient="split").encode(),
    "index.json": FRAME.set_axis(["a", "b", "c"]).to_json(orient="index").encode(),
}


def zipped(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def as_file(path: Path) -> Path:
    """The table in the form that its name says."""
    match path.name:
        case "workbook.xlsx":
            FRAME.to_excel(path, index=False, startrow=2)
        case "database.db":
            with sqlite3.connect(path) as connection:
                FRAME.to_sql("re views", connection, index=False)
            connection.close()
        case "a.parquet.gz":
            FRAME.to_parquet(path)
            path.write_bytes(gzip.compress(path.read_bytes()))
        case "a.feather":
            FRAME.to_feather(path)
        case "one.zip":
            zipped(path, {"README.txt": b"x", "__MACOSX/._a.csv": b"x", "data/a.csv": CSV})
        case "saved":
            dataset = datasets.Dataset.from_dict({"text": TEXTS, "label": [1, 0, 1]})
            dataset.cast_column("label", datasets.ClassLabel(names=["bad", "good"])).save_to_disk(path, num_shards=2)
        case "shards":
            path.mkdir()
            for number in range(3):
                FRAME[number : number + 1].to_parquet(path / f"part-0000{number}-{'0' * 36}.snappy.parquet")
            (path / "_SUCCESS").touch()
        case _:
            path.write_bytes(FILES[path.name])
    return path


MADE = ["workbook.xlsx", "database.db", "a.parquet.gz", "a.feather", "one.zip", "saved", "shards"]


def read(source: object, table: str | None = None, **columns: str) -> Examples:
    return Table(table=table).read(source, Columns(**columns))


@pytest.mark.parametrize("name", [*FILES, *MADE])
def test_every_file_of_a_table_gives_its_rows_whole_and_in_pieces(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = as_file(tmp_path / name)
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert "text, label" in str(Table.recognises(path))
    examples = read(path)
    assert (raws_of(examples), examples.target()) == (TEXTS, LABELS)
    assert len(set(examples.origins())) == 3
    told = [note for note in examples.notes if "encoding" in note or "read as" in note]
    assert bool(told) == name.startswith("latin"), examples.notes
    pieces = list(Table().stream(path, Columns(text=("text",)), 2))
    assert [raw for piece in pieces for raw in raws_of(piece)] == TEXTS
    assert [origin for piece in pieces for origin in piece.origins()] == examples.origins()


def in_parts(folder: Path, kind: str) -> Path:
    """The table as train and test, with two files of train where that can be."""
    match kind:
        case "shards":
            for number in range(2):
                FRAME.to_parquet(folder / f"train-0000{number}-of-00002.parquet")
            FRAME.to_parquet(folder / "test-00000-of-00001.parquet")
        case "below":
            (folder / "data").mkdir()
            in_parts(folder / "data", "shards")
        case "folders":
            for name in ("train/0000.parquet", "train/0001.parquet", "test/0000.parquet"):
                (folder / name).parent.mkdir(exist_ok=True)
                FRAME.to_parquet(folder / name)
        case "saved":
            train, test = datasets.Dataset.from_pandas(pd.concat([FRAME, FRAME])), datasets.Dataset.from_pandas(FRAME)
            datasets.DatasetDict({"train": train, "test": test}).save_to_disk(folder)
        case "json":
            (folder / "train.json").write_text(json.dumps(RECORDS * 2))
            (folder / "test.json").write_text(json.dumps(RECORDS))
        case "zip":
            return zipped(folder / "both.zip", {"train-0.csv": CSV, "train-1.csv": CSV, "test.csv": CSV})
    return folder


@pytest.mark.parametrize("kind", ["shards", "below", "folders", "saved", "json", "zip"])
def test_parts_of_a_table_are_put_together(kind: str, tmp_path: Path) -> None:
    examples = read(in_parts(tmp_path, kind))
    assert raws_of(examples) == TEXTS * 3
    assert examples.column(str(examples.schema.part)) == ["train"] * 6 + ["test"] * 3
    assert kind in ("json", "saved") or len(set(examples.origins())) == 9
    assert not any("left out" in note for note in examples.notes)


def several(path: Path) -> Path:
    match path.suffix:
        case ".xlsx":
            with pd.ExcelWriter(path) as book:
                for name in ("2023", "notes"):
                    FRAME.to_excel(book, sheet_name=name, index=False)
        case ".sqlite":
            with sqlite3.connect(path) as connection:
                for name in ("2023", "notes"):
                    FRAME.to_sql(name, connection, index=False)
            connection.close()
        case ".zip":
            zipped(path, {"2023": b"x", "2023.csv": CSV, "notes.csv": CSV})
    return path


@pytest.mark.parametrize("name", ["a.xlsx", "a.sqlite", "a.zip"])
def test_one_of_several_tables_must_be_named(name: str, tmp_path: Path) -> None:
    path = several(tmp_path / name)
    wanted = "2023.csv" if name == "a.zip" else "2023"
    for given, message in {None: "holds 2 ", "nots": "no 'nots' among 2 "}.items():
        with pytest.raises(DataError, match=rf"{message}\w+: {wanted}, notes.*--set format\.table=NAME"):
            read(path, given)
    assert read(path, wanted).origins()[0].startswith(f"{name}/{wanted}:")
    assert str(Table.recognises(path)).startswith("2 ") and f": {wanted}, notes" in str(Table.recognises(path))


def test_a_text_on_each_line_has_no_labels(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("ham\tone\nspam\ttwo\n")
    with pytest.raises(DataError, match=r"text on each line and no labels.*call it \.tsv"):
        read(tmp_path / "a.txt")


def locked(path: Path) -> bytes:
    """A zip archive whose member says that it is encrypted."""
    content = bytearray(zipped(path, {"a.csv": CSV}).read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + place] |= 1
    return bytes(content)


def spoilt(path: Path, fault: str) -> Path:
    if fault == "empty":
        path.touch()
    elif fault == "locked":
        path.write_bytes(locked(path) if path.suffix == ".zip" else b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    elif fault == "text":
        path.write_bytes(CSV)
    else:
        whole = as_file(path).read_bytes()
        path.write_bytes(
            whole[: len(whole) * 2 // 3] if fault == "truncated" else whole[:9] + b"\xff" * (len(whole) - 9)
        )
    return path


PACKED = ["a.csv.gz", "a.csv.bz2", "a.csv.xz", "a.jsonl.gz", "one.zip", "workbook.xlsx", "database.db", "a.feather"]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        *((name, fault) for name in PACKED for fault in ("empty", "text", "truncated", "overwritten")),
        *((name, "empty") for name in ("a.csv", "a.jsonl", "a.json", "a.txt", "a.parquet", "a.xls")),
        *((name, fault) for name in ("records.json", "lines.json") for fault in ("truncated", "overwritten")),
        ("one.zip", "locked"),
        ("workbook.xlsx", "locked"),
        ("a.xls", "locked"),
    ],
)
def test_files_that_are_empty_damaged_or_locked_are_refused_by_name(name: str, fault: str, tmp_path: Path) -> None:
    path = spoilt(tmp_path / name, fault)
    expected = {"empty": "empty|cannot be read", "locked": "password"}.get(fault, "cannot be read|is not |a.csv")
    with pytest.raises(DataError, match=rf"{name}.*({expected})") as raised:
        read(path)
    assert "plainly" not in str(raised.value)
    with pytest.raises(DataError, match=name):
        list(Table().stream(path, Columns(text=("text",)), 2))


def sheet(path: Path, rows: list[list[object]]) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


ROWS: list[list[object]] = [[text, label] for text, label in zip(TEXTS, LABELS)]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (
            [["Answers of 2026"], [], ["text", "label"], *ROWS],
            "rows above the names of the columns, left out: 1, such as",
        ),
        ([["text", "label"], *ROWS, ["more", "#N/A"]], "cells of formulas that failed, left out: 1, such as row 5"),
        ([["text", "label", None], *([*row, "x"] for row in ROWS)], "1 columns without a name left out"),
    ],
)
def test_what_is_not_read_of_a_sheet_is_told(rows: list[list[object]], told: str, tmp_path: Path) -> None:
    path = sheet(tmp_path / "a.xlsx", rows)
    examples = read(path)
    assert examples.target()[:3] == LABELS and len(examples) == len([row for row in rows if len(row) > 1]) - 1
    assert any(told in note for note in examples.notes)
    assert any(told in note for note in list(Table().stream(path, Columns(text=("text",)), 2))[-1].notes)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [["text", "label"], *([row[0], "=A2"] for row in ROWS)],
            "column 'label' holds formulas such as =A2, whose values",
        ),
        ([["text", "text", "label"], *([row[0], *row] for row in ROWS)], "more than one column called 'text'"),
        ([["text", "label"]], "has columns but no rows"),
        ([], "no sheet has a cell with a value"),
    ],
)
def test_sheets_that_cannot_be_read_are_refused(rows: list[list[object]], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read(sheet(tmp_path / "a.xlsx", rows))


def test_a_missing_openpyxl_is_named_with_what_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = as_file(tmp_path / "workbook.xlsx")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(DataError, match=r'pip install "headstart\[excel\]"'):
        read(path)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "holds no array of records"),
        ({}, "holds no array of records"),
        ([{"text": "a"}, 3], "holds no array of records"),
        ({"text": ["a"], "label": ["x", "y"]}, "columns of different lengths: 'text' 1, 'label' 2"),
        ({"train": RECORDS, "test": RECORDS}, "several lists of records: train, test"),
    ],
)
def test_json_that_is_no_table_is_refused(value: object, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(value))
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, "holds no files"),
        ({"a/0.png": b"x", "b/1.png": b"x"}, r"holds 2 pictures, .*unzip a\.zip -d a"),
        ({"a/0.txt": b"x", "b/1.txt": b"x"}, r"holds 2 files, such as a/0\.txt, and no table to read.*unzip"),
        ({"inner.zip": b"x"}, "no table to read"),
    ],
)
def test_archives_of_no_table_are_refused_with_what_to_do(
    members: dict[str, bytes], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        read_examples(zipped(tmp_path / "a.zip", members), Columns())


def test_other_archives_are_named_as_such(tmp_path: Path) -> None:
    for name in ("a.tar.gz", "a.7z", "a.csv.zst"):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(DataError, match=rf"{name} is not recognised.*It is an archive: unpack it"):
            read_examples(tmp_path / name, Columns())


def test_shards_that_are_missing_or_no_shards_are_refused(tmp_path: Path) -> None:
    for number in (0, 2):
        FRAME.to_parquet(tmp_path / f"train-0000{number}-of-00003.parquet")
    with pytest.raises(DataError, match=r"2 of 3 files train-\*-of-00003 are there"):
        read(tmp_path)
    for path in tmp_path.iterdir():
        path.unlink()
    for number, frame in enumerate((FRAME, FRAME.rename(columns={"label": "y"}))):
        frame.to_parquet(tmp_path / f"part-{number}.parquet")
    with pytest.raises(DataError, match="different columns"):
        read(tmp_path)


def test_packed_copies_beside_the_parts_are_left_out_and_packed_parts_are_read(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_bytes(CSV)
    for name in ("test.csv.gz", "train.csv.gz", "more.csv.gz"):
        (tmp_path / name).write_bytes(gzip.compress(CSV))
    examples = read(tmp_path)
    assert examples.column(str(examples.schema.part)) == ["train"] * 3 + ["test"] * 3
    assert any("left out: 2, such as more.csv.gz" in note for note in examples.notes)


def test_saved_data_sets_keep_their_kinds_and_name_what_is_missing(tmp_path: Path) -> None:
    names = datasets.ClassLabel(names=["bad", "good"])
    for folder, labels, feature, expected in (
        ("one", [1, -1, None], names, ["good", None, None]),
        ("several", [[0, 1], [], [1]], datasets.Sequence(names), [["bad", "good"], [], ["good"]]),
    ):
        rows = datasets.Dataset.from_dict({"text": TEXTS, "label": labels}).cast_column("label", feature)
        rows.save_to_disk(tmp_path / folder)
        assert read(tmp_path / folder).target() == expected
    for spoil, message in (
        (lambda file: file.write_bytes(file.read_bytes()[:-40]), "its end is missing"),
        (lambda file: file.write_bytes(b""), "is empty"),
        (lambda file: file.unlink(), "No such file"),
        (lambda file: (file.parent / "state.json").write_text("{"), "state.json cannot be read"),
    ):
        spoil(next((tmp_path / "one").glob("*.arrow"), tmp_path / "one" / "x"))
        with pytest.raises(DataError, match=message):
            read(tmp_path / "one")
