"""Class folders of .txt files: what is a text, a class and a part, and what is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.contracts.modality import raws_of
from headstart.formats.text_folder import TextFolder
from headstart.kernel.errors import DataError
from headstart.pipeline.data import read_examples


def saved(root: Path, *places: str) -> Path:
    for place in places:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(f"the text of {place}\nin two lines")
    return root


def read(root: Path, columns: Columns | None = None) -> Examples:
    return read_examples(root, columns or Columns())[0]


def test_the_folder_of_imdb_is_read_as_it_is_unpacked(tmp_path: Path) -> None:
    ends = [f"{label}/{number}_7.txt" for label in ("neg", "pos") for number in "01"]
    texts = [f"{part}/{end}" for part in ("test", "train") for end in ends]
    others = ["README", "imdb.vocab", "train/urls_pos.txt", "train/labeledBow.feat", "train/unsup/0_0.txt"]
    root = saved(tmp_path / "aclImdb", *texts, *others)
    assert TextFolder.recognises(root) == "2 class folders with 9 texts in test, train"
    examples = read(root)
    assert examples.origins() == texts
    assert examples.target() == ["neg", "neg", "pos", "pos"] * 2
    assert examples.column("part") == ["test"] * 4 + ["train"] * 4
    assert raws_of(examples)[0] == "the text of test/neg/0_7.txt\nin two lines"
    told = "\n".join(examples.notes)
    assert "1 texts in unsup left out" in told and "1 texts outside class folders left out" in told
    assert "3 files other than texts left out" in told


def test_encodings_are_found_for_each_file_and_binary_ones_counted(tmp_path: Path) -> None:
    contents = {"a/0": "né", "a/1": "né", "b/2": "né", "b/3": "né"}
    encodings = ["utf-8-sig", "utf-16", "latin-1", "utf-8"]
    for (place, text), encoding in zip(contents.items(), encodings):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / f"{place}.txt").write_bytes(text.encode(encoding))
    (tmp_path / "b" / "4.txt").write_bytes(bytes(100))
    (tmp_path / "b" / "5.txt").symlink_to(tmp_path / "nowhere")
    examples = read(tmp_path)
    assert raws_of(examples) == ["né"] * 4
    assert "files that are not UTF-8, read as a Western encoding: 1, such as b/2.txt" in examples.notes
    assert "files that hold no text or cannot be read, left out: 2, such as b/4.txt" in examples.notes


def test_groups_come_from_paths_and_columns_that_are_not_there_are_refused(tmp_path: Path) -> None:
    root = saved(tmp_path, *(f"{label}/{writer}-{k}.txt" for label in "ab" for writer in ("ann", "bob") for k in "01"))
    assert set(read(root, Columns(group=r"(\w+)-")).column("group")) == {"ann", "bob"}
    for columns, flag in (
        (Columns(label="stars"), "--label stars"),
        (Columns(text="review"), "--text review"),
        (Columns(part="split"), "--part split"),
    ):
        with pytest.raises(DataError, match=rf"{flag} would do nothing"):
            read(root, columns)


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (["a.txt", "b.txt"], "2 texts without class folders. Labels are wanted"),
        (["train/a/0.txt", "train/b/0.txt", "more/a/0.txt"], "beside them more"),
        (["unsup/0.txt", "unsup/1.txt"], "Labels are wanted|no texts|left out"),
    ],
)
def test_folders_without_plain_classes_are_refused(places: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read(saved(tmp_path, *places))


@pytest.mark.parametrize("other", ["a/0.png", "train.csv", "train.conll"])
def test_descriptions_of_other_data_are_no_texts(other: str, tmp_path: Path) -> None:
    root = saved(tmp_path, "a/0.txt", "README.txt", other)
    if other.endswith(".png"):
        Image.new("RGB", (8, 8)).save(root / other)
    elif other == "train.csv":
        (root / other).write_text("text,label\na b c,x\n")
    elif other == "train.conll":
        (root / other).write_text("Ann B-person\nsings O\n")
    assert TextFolder.recognises(root) is None
