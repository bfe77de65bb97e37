from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from headstart.contracts.format import Columns
from headstart.kernel.errors import DataError, SettingsError
from headstart.pipeline.data import read_examples, reader_of


def pictures(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(root / name)
    return root


def test_what_lies_there_is_recognised(tmp_path: Path) -> None:
    examples, seen = read_examples(str(pictures(tmp_path / "photos", "a/1.png", "b/1.png")), Columns())
    assert examples.schema.modality == "image"
    assert seen == "2 class folders with 2 images"
    table, seen = read_examples(pd.DataFrame({"text": ["a b", "c d"], "label": [0, 1]}), Columns())
    assert table.schema.modality == "text"
    assert seen == "a pandas frame with the columns text, label"


def test_a_folder_of_two_readings_is_ambiguous_until_the_format_is_given(tmp_path: Path) -> None:
    root = pictures(tmp_path, "a/1.png", "b/1.png")
    (root / "labels.csv").write_text("file,label\na/1.png,x\nb/1.png,y\n")
    with pytest.raises(DataError, match=r"(?s)--format image_folder: 2 class folders.*--format table: labels.csv"):
        read_examples(root, Columns())
    assert read_examples(root, Columns(), format="table")[0].target() == ["x", "y"]
    assert read_examples(root, Columns(), format="image_folder")[0].target() == ["a", "b"]
    with pytest.raises(SettingsError, match=r"format 'tabel' is not known. Did you mean 'table'"):
        read_examples(root, Columns(), format="tabel")


def test_a_missing_path_is_answered_with_its_nearest_sibling(tmp_path: Path) -> None:
    pictures(tmp_path / "photos", "a/1.png")
    with pytest.raises(DataError, match=r"photo does not exist. Did you mean .*photos\?"):
        read_examples(tmp_path / "photo", Columns())
    with pytest.raises(DataError, match=r"The folder .*nowhere does not exist either"):
        read_examples(tmp_path / "nowhere" / "photos", Columns())


def test_what_is_nothing_known_is_refused_with_its_content(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the folder is empty"):
        read_examples(tmp_path, Columns())
    (tmp_path / "song.xyz").write_bytes(b"x")
    with pytest.raises(DataError, match=r"the folder holds song.xyz. Formats: .*image_folder.*, table"):
        read_examples(tmp_path, Columns())
    with pytest.raises(DataError, match="an object of type int"):
        read_examples(3, Columns())


def test_a_stream_has_the_rows_of_the_whole(tmp_path: Path) -> None:
    root = pictures(tmp_path, "a/1.png", "b/1.png", "b/2.png")
    source, reader = reader_of(root, None)
    streamed = [origin for piece in reader.stream(source, Columns(), 2) for origin in piece.origins()]
    assert streamed == read_examples(root, Columns())[0].origins()
