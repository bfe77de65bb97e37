"""Line-aligned files and tables in two languages: which is read and which is written, and what does not fit."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.contracts.modality import raws_of
from headstart.formats.parallel_text import ParallelText
from headstart.formats.table import Table
from headstart.kernel.errors import DataError

LINES = {"en": "a cat\na dog\n", "de": "eine Katze\nein Hund\n", "fr": "un chat\nun chien\n"}


def corpus(folder: Path, *names: str, **changed: str) -> Path:
    """Files such as 'train.en.gz' with the lines of their language."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        language = name.removesuffix(".gz").rpartition(".")[2]
        content = changed.get(language, LINES[language]).encode()
        (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return folder


def pairs(examples: Examples) -> list[tuple[str, str]]:
    return list(zip(raws_of(examples), examples.target()))


def test_packed_files_of_several_parts_are_read_in_the_languages_that_are_asked_for(tmp_path: Path) -> None:
    names = [f"{part}.{language}.gz" for part in ("train", "val", "test_a", "test_b") for language in LINES]
    source = corpus(tmp_path, *names)
    examples = ParallelText().read(source, Columns(text=("fr",), label="de"))
    assert pairs(examples)[:2] == [("un chat", "eine Katze"), ("un chien", "ein Hund")]
    assert examples.column("part") == ["test"] * 4 + ["train"] * 2 + ["val"] * 2
    assert examples.schema.slices == ("file",) and examples.column("file")[::2] == ["test_a", "test_b", "train", "val"]
    assert examples.origins()[5] == "train.fr.gz:2"
    with pytest.raises(DataError, match="--text A --label B"):
        ParallelText().read(source, Columns())
    with pytest.raises(DataError, match=r"--label nl: .*Did you mean|--label nl: "):
        ParallelText().read(source, Columns(text=("en",), label="nl"))


@pytest.mark.parametrize(("languages", "expected"), [(("de", "en"), "en"), (("de", "fr"), "de")])
def test_of_two_languages_english_is_read_else_the_first_by_name(
    languages: tuple[str, str], expected: str, tmp_path: Path
) -> None:
    examples = ParallelText().read(corpus(tmp_path, *(f"corpus.{name}" for name in languages)), Columns())
    assert examples.schema.inputs == (expected,) and examples.schema.part is None
    assert any("--text and --label say otherwise" in note for note in examples.notes)


def test_a_file_stands_for_those_beside_it(tmp_path: Path) -> None:
    source = corpus(tmp_path, "train.en", "train.de", "test.en", "test.de")
    examples = ParallelText().read(source / "train.de", Columns(text=("de",)))
    assert pairs(examples) == [("eine Katze", "a cat"), ("ein Hund", "a dog")]
    alone = ParallelText().read(corpus(tmp_path / "new", "new.en") / "new.en", Columns(text=("en",)), labelled=False)
    assert raws_of(alone) == ["a cat", "a dog"] and not alone.schema.targets


def test_files_of_unequal_length_are_refused_with_their_counts(tmp_path: Path) -> None:
    source = corpus(tmp_path, "train.en", "train.de", de="eine Katze\n\nein Hund\n")
    with pytest.raises(DataError, match=r"equally many lines; found train.en 2, train.de 3"):
        ParallelText().read(source, Columns())


def test_only_newlines_end_a_line(tmp_path: Path) -> None:
    source = corpus(tmp_path, "t.en", "t.de", en="a\x0bb\u2028c\x85d\r\nlast", de="x\ny\n")
    assert pairs(ParallelText().read(source, Columns())) == [("a\x0bb\u2028c\x85d", "x"), ("last", "y")]


@pytest.mark.parametrize(
    "names", [("notes.txt", "data.csv"), ("a.py", "b.md"), ("paper.tex", "x.xml"), ("train.en", "a.csv", "b.csv")]
)
def test_folders_of_other_files_are_left_alone(names: tuple[str, ...], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).write_text("x\n")
    assert ParallelText.recognises(tmp_path) is None


@pytest.mark.parametrize(
    ("names", "read"), [(("en", "fr"), "en"), (("de", "en"), "en"), (("de", "fr"), "de"), (("src", "tgt"), "src")]
)
def test_a_table_of_two_languages_needs_no_flags(names: tuple[str, str], read: str) -> None:
    frame = pd.DataFrame({name: [f"a text in {name} number {row}" for row in range(6)] for name in names})
    examples = Table().read(frame, Columns())
    assert examples.schema.inputs == (read,) and examples.schema.targets["label"] in {*names} - {read}
    assert any(f"read from column '{read}' and that to write from" in note for note in examples.notes)
    swapped = Table().read(frame, Columns(text=(examples.schema.targets["label"],), label=read))
    assert swapped.schema.targets == {"label": read}
