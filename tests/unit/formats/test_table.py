from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.contracts.modality import raws_of
from headstart.formats.table import Table
from headstart.kernel.errors import DataError

TEXTS = ["I loved every minute of it", "what a waste of time", "not bad, not good"]
FRAME = pd.DataFrame({"review": TEXTS, "stars": [5, 1, 3], "id": [7, 8, 9]})


def read(source: object, *, labelled: bool = True, **columns: Any) -> Examples:
    return Table().read(source, Columns(**columns), labelled=labelled)


def written(path: Path, content: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(content.encode(encoding))
    return path


@pytest.fixture(params=["csv", "tsv", "parquet", "jsonl", "json", "frame", "arrow", "dataset"])
def anyhow(request: pytest.FixtureRequest, tmp_path: Path) -> object:
    """The same table in every form."""
    path = tmp_path / f"reviews.{request.param}"
    match request.param:
        case "csv":
            FRAME.to_csv(path, index=False)
        case "tsv":
            FRAME.to_csv(path, index=False, sep="\t")
        case "parquet":
            FRAME.to_parquet(path)
        case "jsonl":
            FRAME.to_json(path, orient="records", lines=True)
        case "json":
            FRAME.to_json(path, orient="records")
        case "frame":
            return FRAME
        case "arrow":
            return pa.Table.from_pandas(FRAME)
        case "dataset":
            return datasets.Dataset.from_pandas(FRAME)
    return path


def test_every_form_of_a_table_gives_the_same_examples(anyhow: object) -> None:
    assert "review, stars, id" in str(Table.recognises(anyhow))
    examples = read(anyhow)
    assert examples.schema.modality == "text"
    assert raws_of(examples) == TEXTS
    assert examples.target() == [5, 1, 3]
    assert len(set(examples.origins())) == 3


def test_every_form_streams_the_same_inputs_in_pieces(anyhow: object) -> None:
    windows = list(Table().stream(anyhow, Columns(text=("review",)), 2))
    assert [len(piece) for piece in windows] == [2, 1]
    assert [raw for piece in windows for raw in raws_of(piece)] == TEXTS
    whole = read(anyhow)
    assert [origin for piece in windows for origin in piece.origins()] == whole.origins()
    assert all(piece.schema.targets == {} for piece in windows)


def test_origins_name_the_line_on_which_a_row_starts(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", 'text,label\n"one\ntwo",a\n"three",b\r\n"four\nfive\nsix",a\nseven,b\n')
    examples = read(path)
    assert examples.origins() == ["a.csv:2", "a.csv:4", "a.csv:5", "a.csv:8"]
    assert raws_of(examples)[0] == "one\ntwo"
    lines = [origin for piece in Table().stream(path, Columns(), 3) for origin in piece.origins()]
    assert lines == examples.origins()


def test_origins_of_other_forms(tmp_path: Path) -> None:
    lines = written(tmp_path / "a.jsonl", '{"text": "a b", "label": 1}\n\n{"text": "c d", "label": 2}\n')
    assert read(lines).origins() == ["a.jsonl:1", "a.jsonl:3"]
    odd = FRAME.set_axis(["x", "x", "z"], axis=0)
    assert read(odd).origins() == ["row x", "row x", "row z"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encodings_and_delimiters_are_found(tmp_path: Path, encoding: str, delimiter: str) -> None:
    rows = [["text", "label"], ["un café, très bon; oui", "gut"], ["l’été", "schlecht"]]
    content = "\n".join(delimiter.join(f'"{value}"' for value in row) for row in rows) + "\n"
    examples = read(written(tmp_path / "a.csv", content, encoding))
    assert raws_of(examples) == [row[0] for row in rows[1:]]
    assert examples.target() == ["gut", "schlecht"]
    assert any("cp1252" in note for note in examples.notes) == (encoding == "cp1252")


def test_bytes_that_no_encoding_knows_are_latin_1(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"text,label\ncaf\xe9 \x81 noir,a\nthe,b\n")
    assert any("latin-1" in note for note in read(tmp_path / "a.csv").notes)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_rows_are_named_by_their_lines_and_blank_lines_counted(tmp_path: Path, end: str, encoding: str) -> None:
    lines = ["", "text,label", "", "fine,good", "", "", '"two', "", 'lines",bad', "none,bad", "", "last,good", "", ""]
    path = tmp_path / "a.csv"
    path.write_bytes(end.join(lines).encode(encoding))
    examples = Table().read(path, Columns())
    assert examples.origins() == ["a.csv:4", "a.csv:7", "a.csv:10", "a.csv:12"]
    assert "blank lines, left out: 5, such as a.csv:1" in examples.notes
    parts = [*Table().stream(path, Columns(text=("text",)), 1)]
    assert [origin for part in parts for origin in part.origins()] == examples.origins()


def test_a_ragged_file_is_refused_with_its_row(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"commas between the columns: .*line 3 has 3 columns"):
        read(written(tmp_path / "a.csv", "text,label\na b,1\nc, d,2\n"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", r"is empty \(0 bytes\)"),
        ("a.csv", "text,label\n", "has columns but no rows"),
        ("a.csv", "text,text,label\na,b,1\n", "more than one column called 'text'"),
        ("a.jsonl", '{"text": "a"}\n{"text": \n', r"a.jsonl:2 cannot be read as JSON"),
        ("a.jsonl", '{"text": "a"}\n[1]\n', r"a.jsonl:2 is not a record"),
        ("a.json", '{"text": "a"}', "holds no array of records"),
        ("a.parquet", "PAR1 not really", "cannot be read as Parquet"),
    ],
)
def test_damaged_files_are_refused_with_the_place(tmp_path: Path, name: str, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(written(tmp_path / name, content))


def test_a_folder_of_parts_is_one_table(tmp_path: Path) -> None:
    for name, rows in {"train": 3, "dev": 2, "test": 1}.items():
        FRAME.head(rows).to_csv(tmp_path / f"{name}.csv", index=False)
    (tmp_path / "README.md").write_text("notes")
    (tmp_path / "dataset_infos.json").write_text("{}")
    examples = read(tmp_path)
    assert examples.column(str(examples.schema.part)) == ["train"] * 3 + ["val"] * 2 + ["test"]
    assert examples.origins()[3] == "dev.csv:2"
    assert len([row for piece in Table().stream(tmp_path, Columns(), 2) for row in piece.origins()]) == 6


def test_shards_and_a_lone_table_in_a_folder(tmp_path: Path) -> None:
    for k in range(2):
        FRAME.to_parquet(tmp_path / f"train-0000{k}-of-00002.parquet")
    FRAME.to_parquet(tmp_path / "test-00000-of-00001.parquet")
    examples = read(tmp_path)
    assert Counter(examples.column(str(examples.schema.part))) == {"train": 6, "test": 3}
    (tmp_path / "lone").mkdir()
    FRAME.to_csv(tmp_path / "lone" / "all.csv", index=False)
    assert read(tmp_path / "lone").schema.part is None


def test_several_tables_that_are_no_parts_are_ambiguous(tmp_path: Path) -> None:
    for name in ("a", "train"):
        FRAME.to_csv(tmp_path / f"{name}.csv", index=False)
    assert "holds 2 tables" in str(Table.recognises(tmp_path))
    with pytest.raises(DataError, match=r"2 tables \(a.csv, train.csv\), and not all are named after parts"):
        read(tmp_path)


def test_a_part_without_labels_is_left_out_and_told(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "train.csv", index=False)
    FRAME.drop(columns="stars").to_csv(tmp_path / "test.csv", index=False)
    examples = read(tmp_path)
    assert len(examples) == 3
    assert any("3 rows of test left out, as they have no column 'stars'" in note for note in examples.notes)


def test_parts_whose_types_differ_are_refused(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "train.csv", index=False)
    FRAME.assign(stars=["a", "b", "c"]).to_csv(tmp_path / "test.csv", index=False)
    with pytest.raises(DataError, match=r"3 of 6 cells are numbers, 3 are not, such as 'a' \(test.csv:2\)"):
        read(tmp_path)


def test_a_dataset_dict_has_parts_and_class_names() -> None:
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])})
    part = datasets.Dataset.from_dict({"text": ["a b c", "d e f", "g h"], "label": [0, 1, -1]}, features=features)
    both = datasets.DatasetDict({"test": part.select([1]), "train": part})
    examples = read(both)
    assert examples.target() == ["neg", "pos", None, "pos"]
    assert examples.column(str(examples.schema.part)) == ["train"] * 3 + ["test"]
    assert examples.origins()[0] == "train row 0"
    shuffled = part.shuffle(seed=1)
    assert raws_of(read(shuffled)) == shuffled["text"][:]


def test_a_dataset_of_images_hands_out_their_bytes() -> None:
    pictures = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["r", "b"])})
    examples = read(datasets.Dataset.from_dict({"image": pictures, "label": [0, 1]}, features=features))
    assert examples.schema.modality == "image"
    first = raws_of(examples)[0]
    assert isinstance(first, bytes)
    assert Image.open(io.BytesIO(first)).getpixel((0, 0)) == (255, 0, 0)


def test_a_dict_of_frames_is_parts_and_a_dict_of_columns_a_table() -> None:
    examples = read({"train": FRAME, "validation": FRAME.head(1)})
    assert examples.column(str(examples.schema.part)) == ["train"] * 3 + ["val"]
    assert raws_of(read({"text": TEXTS, "label": ["a", "b", "c"]})) == TEXTS
    with pytest.raises(DataError, match="'extra' is not train, val or test"):
        read({"train": FRAME, "extra": FRAME})
    assert Table.recognises({"a": 1}) is None
    assert Table.recognises(3) is None


def test_named_columns_are_read_and_pairs_too() -> None:
    frame = pd.DataFrame(
        {"a": ["x y", "z"], "b": ["u", None], "gold": ["yes", "no"], "who": [1, 2], "where": ["n", "s"]}
    )
    examples = read(frame, text=("a", "b"), label="gold", group="who", slices=("where",))
    assert raws_of(examples) == [("x y", "u"), ("z", "")]
    assert examples.target() == ["yes", "no"]
    assert examples.schema.group == "who"
    assert examples.schema.slices == ("where",)


def test_names_that_look_like_numbers_keep_their_letters(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "code,patient,label\n007,01,a\n12,1,b\n")
    examples = read(path, text=("code",), group="patient")
    assert raws_of(examples) == ["007", "12"]
    assert examples.column("patient") == ["01", "1"]


@pytest.mark.parametrize("flag", ["text", "label", "group", "image", "part"])
def test_a_missing_column_is_answered_with_the_nearest(flag: str) -> None:
    value: Any = ("revew",) if flag == "text" else "revew"
    with pytest.raises(DataError, match=f"--{flag} revew: column 'revew' is not known. Did you mean 'review'"):
        read(FRAME, **{flag: value})


def test_for_prediction_only_the_inputs_must_be_there() -> None:
    columns: dict[str, Any] = {
        "text": ("review",),
        "label": "gone",
        "group": "gone",
        "slices": ("gone",),
        "part": "gone",
    }
    examples = read(FRAME[["review"]], labelled=False, **columns)
    assert raws_of(examples) == TEXTS
    assert examples.schema.targets == {}
    with pytest.raises(DataError, match="column 'review' is not known"):
        read(FRAME[["stars"]], labelled=False, **columns)


def test_what_is_not_plain_is_asked_for_with_every_column_listed() -> None:
    frame = pd.DataFrame({"v1": ["ham", "spam"], "v2": ["good morning to you", "you have won a prize"], "n": [1, 2]})
    with pytest.raises(DataError, match=r"(?s)--label COLUMN.*v1: text, for example 'ham'.*n: number, for example 1"):
        read(frame)
    assert raws_of(read(frame, label="v1")) == list(frame["v2"])
    two = pd.DataFrame({"sentence1": ["a b c"], "sentence2": ["d e f"], "label": [1]})
    with pytest.raises(DataError, match=r"sentence1 and sentence2 could each be the text.*both for pairs"):
        read(two)
    with pytest.raises(DataError, match="class and target could each be the label"):
        read(FRAME.drop(columns="stars").assign(**{"class": 1, "target": 2}))


def test_inputs_of_two_kinds_exclude_each_other() -> None:
    with pytest.raises(DataError, match="--text and --image exclude each other"):
        read(FRAME, text=("review",), image="id")
    with pytest.raises(DataError, match="given 3 times"):
        read(FRAME, text=("review", "id", "stars"))


def test_image_paths_are_recognised_when_they_exist(tmp_path: Path) -> None:
    (tmp_path / "pics").mkdir()
    for k in range(2):
        Image.new("RGB", (4, 4)).save(tmp_path / "pics" / f"{k}.png")
    path = written(tmp_path / "a.csv", "file,label\npics/0.png,a\npics/1.png,b\n")
    examples = read(path)
    assert examples.schema.modality == "image"
    assert raws_of(examples) == [tmp_path / "pics/0.png", tmp_path / "pics/1.png"]
    assert raws_of(next(Table().stream(path, Columns(), 9))) == raws_of(examples)
    gone = written(tmp_path / "b.csv", "file,label\npics/7.png,a\npics/1.png,b\n")
    with pytest.raises(DataError, match=r"image path, but 'pics/7.png' does not exist below"):
        read(gone)
    assert len(read(gone, image="file")) == 2


def test_numeric_columns_are_a_vector_and_the_rest_is_told() -> None:
    frame = pd.DataFrame(
        {
            "id": [1, 2],
            "width": [1.5, 2.5],
            "depth": [3, None],
            "wet": [True, False],
            "town": ["Ulm", "Bonn"],
            "patient_id": [10, 11],
            "class": ["a", "b"],
        }
    )
    examples = read(frame)
    assert examples.schema.modality == "table"
    assert examples.schema.inputs == ("width", "depth", "wet")
    np.testing.assert_array_equal(np.stack(raws_of(examples)), [[1.5, 3, 1], [2.5, np.nan, 0]])  # type: ignore[arg-type]
    assert "columns left out as they identify rows: id, patient_id" in examples.notes
    assert any("town" in note and "--categorical" in note for note in examples.notes)
    chosen = read(frame, numeric=("wet", "width"))
    assert raws_of(chosen)[0].tolist() == [1.0, 1.5]  # type: ignore[union-attr]
    with pytest.raises(DataError, match="column 'town' is not numeric: 'Ulm' in row 0"):
        read(frame, numeric=("town",))


def test_a_streamed_number_is_read_as_the_whole_table_reads_it(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "x,y,label\n1,2.5,a\n,3,b\n4,5,a\n")
    windows = list(Table().stream(path, Columns(numeric=("y", "x")), 2))
    streamed = np.concatenate([np.stack(raws_of(piece)) for piece in windows])  # type: ignore[arg-type]
    np.testing.assert_array_equal(streamed, [[2.5, 1], [3, np.nan], [5, 4]])


def test_a_given_part_column_is_recognised_and_translated() -> None:
    frame = FRAME.assign(split=["Train", "validation", "test"])
    examples = read(frame)
    assert examples.column(str(examples.schema.part)) == ["train", "val", "test"]
    assert read(FRAME.assign(fold=["a", "b", "c"])).schema.part is None
    with pytest.raises(DataError, match="the part column 'fold' holds 'x'"):
        read(FRAME.assign(fold=["train", "x", ""]), part="fold")


def test_a_label_of_mixed_kinds_is_refused_and_named() -> None:
    frame = FRAME.assign(stars=pd.Series([1, "good", None], dtype=object))
    with pytest.raises(
        DataError, match=r"label column 'stars' mixes values of several kinds: 1 \(int\), 'good' \(str\)"
    ):
        read(frame)
    assert read(frame, labelled=False).schema.targets == {}


def test_empty_labels_are_missing(tmp_path: Path) -> None:
    assert read(FRAME.assign(stars=["a", np.nan, " "])).target() == ["a", None, None]
    path = written(tmp_path / "a.csv", "text,label\na b c,x\nd e f,\n")
    assert read(path).target() == ["x", None]


def test_columns_of_every_pandas_kind_are_read() -> None:
    frame = pd.DataFrame(
        {
            "text": pd.Series(TEXTS, dtype="category"),
            "label": pd.Series(["a", "b", "a"], dtype="category"),
            3: [1, 2, 3],
        }
    )
    examples = read(frame)
    assert raws_of(examples) == TEXTS
    assert examples.target() == ["a", "b", "a"]
    assert "3" in examples.table.column_names


def test_records_with_different_keys_are_one_table(tmp_path: Path) -> None:
    records = [{"text": "a b", "label": 1}, {"label": 2, "more": [1]}, {"text": "e f", "label": 3}]
    path = written(tmp_path / "a.jsonl", "\n".join(map(json.dumps, records)))
    assert raws_of(read(path)) == ["a b", "", "e f"]


def test_parquet_streams_in_bounded_pieces(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"text": [f"text {k}" for k in range(1000)]}), tmp_path / "a.parquet")
    sizes = [len(piece) for piece in Table().stream(tmp_path / "a.parquet", Columns(), 300)]
    assert sizes == [300, 300, 300, 100]


def test_real_tables(test_data: Path) -> None:
    sst = read(test_data / "data/text_sst2")
    assert Counter(sst.column(str(sst.schema.part))) == {"train": 6920, "test": 1821, "val": 872}
    spam = read(test_data / "data/text_sms_spam")
    assert Counter(spam.target()) == {"ham": 4827, "spam": 747}
