"""Tables of boxes: rows and lists, which layout their numbers have, and parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from boxed_pictures import BOXES, HEIGHT, WIDTH, edges, save_box_table, save_pictures
from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.contracts.modality import raws_of
from headstart.formats.box_table import BoxTable
from headstart.kernel.errors import DataError
from headstart.pipeline.data import read_examples


def table(folder: Path, rows: list[dict[str, Any]]) -> Path:
    save_pictures(folder)
    pd.DataFrame(rows).to_csv(folder / "boxes.csv", index=False)
    return folder / "boxes.csv"


def read(source: Any, **columns: Any) -> Examples:
    return read_examples(source, Columns(**columns))[0]


def per_box(**edges_by_column: Any) -> list[dict[str, Any]]:
    return [
        {"image": name, "label": label, **{key: edge(*place) for key, edge in edges_by_column.items()}}
        for name, boxes in BOXES.items()
        for label, *place in boxes or [("", *[float("nan")] * 4)]
    ]


FORMS = {
    "corners": {
        "x1": lambda x, y, r, b: x,
        "y1": lambda x, y, r, b: y,
        "x2": lambda x, y, r, b: r,
        "y2": lambda x, y, r, b: b,
    },
    "sizes": {
        "x": lambda x, y, r, b: x,
        "y": lambda x, y, r, b: y,
        "w": lambda x, y, r, b: r - x,
        "h": lambda x, y, r, b: b - y,
    },
    "shares": {
        "XMin": lambda x, y, r, b: x / WIDTH,
        "YMin": lambda x, y, r, b: y / HEIGHT,
        "XMax": lambda x, y, r, b: r / WIDTH,
        "YMax": lambda x, y, r, b: b / HEIGHT,
    },
    "with the picture's size": {
        "width": lambda *_: WIDTH,
        "height": lambda *_: HEIGHT,
        "xmin": lambda x, y, r, b: x,
        "ymin": lambda x, y, r, b: y,
        "xmax": lambda x, y, r, b: r,
        "ymax": lambda x, y, r, b: b,
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_a_row_for_each_box(tmp_path: Path, form: str) -> None:
    examples = read(table(tmp_path, per_box(**FORMS[form])))
    assert edges(examples.target("boxes")) == list(BOXES.values())
    assert examples.origins() == list(BOXES)


CELLS = {
    "lists": lambda boxes: [[x, y, r, b, label] for label, x, y, r, b in boxes],
    "records": lambda boxes: [{"label": label, "bbox": [x, y, r, b]} for label, x, y, r, b in boxes],
    "corners": lambda boxes: [{"class": c, "xmin": x, "ymin": y, "xmax": r, "ymax": b} for c, x, y, r, b in boxes],
    "fields": lambda boxes: {"bbox": [box[1:] for box in boxes], "category": [box[0] for box in boxes]},
}


@pytest.mark.parametrize("form", CELLS)
def test_a_list_of_boxes_for_each_picture(tmp_path: Path, form: str) -> None:
    rows = [{"image": name, "objects": json.dumps(CELLS[form](boxes))} for name, boxes in BOXES.items()]
    assert edges(read(table(tmp_path, rows)).target("boxes")) == list(BOXES.values())
    frame = pd.DataFrame(
        [{"image": str(tmp_path / name), "objects": CELLS[form](boxes)} for name, boxes in BOXES.items()]
    )
    assert edges(read(frame).target("boxes")) == list(BOXES.values())


def test_lists_that_fit_in_two_layouts_are_not_guessed(tmp_path: Path) -> None:
    save_pictures(tmp_path, ["a.png"])
    path = tmp_path / "boxes.csv"
    pd.DataFrame([{"image": "a.png", "objects": '[[2, 2, 9, 9, "cat"]]'}]).to_csv(path, index=False)
    with pytest.raises(DataError, match=r"both two corners .* \[2\.0, 2\.0, 9\.0, 9\.0\] of .* --set format\.box=xyxy"):
        read(path)
    assert edges(BoxTable(box="xywh").read(path, Columns()).target("boxes")) == [[("cat", 2, 2, 11, 11)]]


def test_tables_in_folders_of_parts_beside_their_pictures(tmp_path: Path) -> None:
    for part in ("train", "valid", "test"):
        save_box_table(tmp_path / part).rename(tmp_path / part / "_annotations.csv")
    examples = read(tmp_path)
    assert [str(path).split("/")[0] for path in examples.origins()] == ["test"] * 4 + ["train"] * 4 + ["valid"] * 4
    assert examples.column("part") == ["test"] * 4 + ["train"] * 4 + ["val"] * 4
    assert edges(examples.target("boxes")) == 3 * list(BOXES.values())


def test_columns_of_the_split_and_of_groups(tmp_path: Path) -> None:
    rows = [{**row, "split": "train", "video": row["image"] > "b"} for row in per_box(**FORMS["corners"])]
    examples = read(table(tmp_path, rows), group="video")
    assert examples.column("part") == ["train"] * 4
    assert examples.column(str(examples.schema.group)) == ["False", "True", "True", "True"]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ({"label": ""}, r"boxes\.csv.*:3: a box has no class"),
        ({"x2": "wide"}, "boxes that are not four finite numbers, left out: 1, such as boxes.csv:3 (a.png)"),
        ({"image": "gone.png"}, "names and that are not there, left out: 1, such as gone.png"),
    ],
)
def test_odd_rows_are_named_by_their_line(tmp_path: Path, cell: dict[str, Any], said: str) -> None:
    rows = per_box(**FORMS["corners"])
    path = table(tmp_path, [rows[0], {**rows[1], **cell}, *rows[2:]])
    if "no class" in said:
        with pytest.raises(DataError, match=said):
            read(path)
    else:
        assert any(said in note for note in read(path).notes), read(path).notes


def test_tables_of_pictures_without_boxes_stay_what_they_are(tmp_path: Path) -> None:
    path = table(tmp_path, [{"image": name, "label": name[0], "x": 1, "y": 2} for name in BOXES])
    assert read(path, label="label").schema.targets == {"label": "label"}


def test_pictures_that_the_table_holds_itself(tmp_path: Path) -> None:
    """As data sets of the hub have pictures and their objects."""
    save_pictures(tmp_path)
    rows = [
        {"image": {"bytes": (tmp_path / name).read_bytes(), "path": None}, "objects": CELLS["fields"](boxes)}
        for name, boxes in BOXES.items()
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    examples = read(tmp_path / "rows.parquet")
    assert edges(examples.target("boxes")) == list(BOXES.values())
    assert raws_of(examples) == [row["image"]["bytes"] for row in rows]
    assert len({*examples.origins()}) == 4
