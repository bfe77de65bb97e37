from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.modality import raws_of
from headstart.kernel.errors import DataError


def made(columns: dict[str, Any], **roles: Any) -> Examples:
    """Examples of the given columns, named row-0, row-1, ..."""
    rows = len(next(iter(columns.values())))
    table = pa.table({**columns, "origin": [f"row-{row}" for row in range(rows)]})
    return Examples(table, Schema(origin="origin", **roles), ("a note",))


@pytest.fixture
def texts() -> Examples:
    columns = {"text": ["a", "b", None, "d"], "stars": [1, None, 3, 4]}
    return made(columns, modality="text", inputs=("text",), targets={"label": "stars"})


def test_rows_are_taken_in_the_order_asked_for_with_everything(texts: Examples) -> None:
    some = texts.take(np.array([3, 0, 3]))
    assert len(some) == 3 and len(texts) == 4
    assert some.origins() == ["row-3", "row-0", "row-3"]
    assert raws_of(some) == ["d", "a", "d"] and some.target() == [4, 1, 4]
    assert some.schema == texts.schema and some.notes == ("a note",)


def test_no_rows_can_be_taken(texts: Examples) -> None:
    none = texts.take([])
    assert len(none) == 0 and raws_of(none) == [] and none.target() == [] and none.origins() == []


def test_inputs_of_some_rows_are_those_of_the_taken_rows(texts: Examples) -> None:
    assert raws_of(texts, [3, 1]) == raws_of(texts.take([3, 1])) == ["d", "b"]


def test_an_empty_text_is_a_text(texts: Examples) -> None:
    assert raws_of(texts) == ["a", "b", "", "d"]


def test_an_empty_label_stays_empty(texts: Examples) -> None:
    assert texts.target() == [1, None, 3, 4]


def test_pairs_of_texts_are_tuples() -> None:
    columns = {"one": ["a", None], "two": ["b", "c"]}
    assert raws_of(made(columns, modality="text", inputs=("one", "two"))) == [("a", "b"), ("", "c")]


def test_numbers_are_vectors_in_the_order_of_the_columns() -> None:
    examples = made({"y": [1, 2], "x": [0.5, None], "b": [True, False]}, modality="table", inputs=("x", "y"))
    first, second = raws_of(examples)
    assert isinstance(first, np.ndarray) and first.dtype == np.float64 and first.tolist() == [0.5, 1.0]
    assert isinstance(second, np.ndarray) and np.isnan(second[0]) and second[1] == 2.0


def test_images_are_paths_below_the_root_bytes_or_either_in_a_dict(tmp_path: Path) -> None:
    paths = made({"image": ["cat/1.png", str(tmp_path / "2.png")]}, modality="image", inputs=("image",), root="/photos")
    assert raws_of(paths) == [Path("/photos/cat/1.png"), tmp_path / "2.png"]
    encoded = made({"image": [b"\x89PNG", None]}, modality="image", inputs=("image",))
    assert raws_of(encoded) == [b"\x89PNG", b""]
    either = [{"bytes": b"GIF8", "path": "x.gif"}, {"bytes": None, "path": "y.gif"}, {"bytes": None, "path": None}]
    assert raws_of(made({"image": either}, modality="image", inputs=("image",))) == [b"GIF8", Path("y.gif"), b""]


def test_an_unlabelled_target_says_what_there_is(texts: Examples) -> None:
    with pytest.raises(DataError, match=r"no target 'tags' \(targets: label\)"):
        texts.target("tags")
    bare = Examples(texts.table, texts.schema.model_copy(update={"targets": {}}))
    with pytest.raises(DataError, match=r"no target 'label' \(targets: none: the data are unlabelled\)"):
        bare.target()


@pytest.mark.parametrize(
    "roles",
    [
        {"inputs": ("nowhere",)},
        {"targets": {"label": "nowhere"}},
        {"group": "nowhere"},
        {"domain": "nowhere"},
        {"slices": ("text", "nowhere")},
        {"part": "nowhere"},
    ],
)
def test_a_schema_of_columns_that_are_not_there_is_refused(roles: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"no column 'nowhere' in the data\. Columns: text, origin"):
        made({"text": ["a"]}, **{"modality": "text", "inputs": ("text",), **roles})


def test_origins_are_texts_whatever_the_column_holds() -> None:
    table = pa.table({"x": [1.0, 2.0], "number": [7, 8]})
    assert Examples(table, Schema(modality="table", inputs=("x",), origin="number")).origins() == ["7", "8"]


def test_columns_in_several_pieces_are_read_as_one() -> None:
    windows = pa.concat_tables([pa.table({"text": ["a", "b"]}), pa.table({"text": ["c"]})])
    examples = Examples(
        windows.append_column("origin", pa.chunked_array([["0"], ["1", "2"]])),
        Schema(modality="text", inputs=("text",), origin="origin"),
    )
    assert raws_of(examples, [2, 0]) == ["c", "a"] and examples.take([1, 2]).origins() == ["1", "2"]


def test_a_schema_is_frozen_and_knows_its_fields() -> None:
    schema = Schema(modality="text", inputs=("text",), origin="origin")
    with pytest.raises(ValidationError):
        schema.group = "patient"  # type: ignore[misc]
    with pytest.raises(ValidationError, match="pateint"):
        Schema(modality="text", inputs=("text",), origin="origin", pateint="x")  # type: ignore[call-arg]
    assert Schema.model_validate_json(schema.model_dump_json()) == schema
