"""CoNLL files: schemes that are recognised, and every fault named with its file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.formats.conll import Conll
from headstart.kernel.errors import DataError


def written(folder: Path, text: str, name: str = "data.conll") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def read(source: Path, columns: Columns | None = None) -> Examples:
    return Conll().read(source, columns or Columns())


def spans(examples: Examples) -> list[list[tuple[str, str]]]:
    """The surface and label of every span."""
    return [
        [(str(text)[span["start"] : span["end"]], span["label"]) for span in row]
        for text, row in zip(examples.raws(), examples.target("spans"))
    ]


WORDS = "Ann Lee saw Rome Oslo and Bo".split()
SCHEMES = {
    "IOB2": "B-per I-per O B-loc B-loc O B-per",
    "IOB1": "I-per I-per O I-loc B-loc O I-per",
    "BIOES": "B-per E-per O S-loc S-loc O S-per",
    "BILOU": "B-per L-per O U-loc U-loc O U-per",
}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("separator", ["\t", " ", "  "])
def test_every_scheme_gives_the_same_spans(scheme: str, separator: str, tmp_path: Path) -> None:
    lines = [separator.join(pair) for pair in zip(WORDS, SCHEMES[scheme].split())]
    examples = read(written(tmp_path, "\n".join(lines)))
    assert examples.raws() == ["Ann Lee saw Rome Oslo and Bo"]
    assert spans(examples) == [[("Ann Lee", "per"), ("Rome", "loc"), ("Oslo", "loc"), ("Bo", "per")]]
    assert any(scheme in note for note in examples.notes)


def test_tags_without_prefix_label_a_word_each(tmp_path: Path) -> None:
    examples = read(written(tmp_path, "it\tPRON\nrains\tVERB\n.\tO\n"))
    assert spans(examples) == [[("it", "PRON"), ("rains", "VERB")]]


def test_words_have_their_places_in_the_text(tmp_path: Path) -> None:
    examples = read(written(tmp_path, "New York\tB-loc\n's\tO\n\nBo\tB-per\n"))
    assert examples.schema.words is not None
    words = examples.column(examples.schema.words)
    texts = [[str(text)[word["start"] : word["end"]] for word in row] for text, row in zip(examples.raws(), words)]
    assert texts == [["New York", "'s"], ["Bo"]]


def test_line_ends_blanks_marks_and_a_missing_last_newline_are_taken_as_meant(tmp_path: Path) -> None:
    text = "\ufeffAnn\tB-per\r\nsings\tO\r\n\r\n \t\r\n\r\nRome\tB-loc"
    examples = read(written(tmp_path, text))
    assert examples.raws() == ["Ann sings", "Rome"]
    assert examples.origins() == ["data.conll:1", "data.conll:6"]


def test_the_last_of_several_columns_is_the_tag_and_comments_are_passed_over(tmp_path: Path) -> None:
    text = "# id 7 domain=x\nAnn NNP B-NP B-per\nsings VBZ B-VP O\n\n# id 8\n# . O O\n"
    examples = read(written(tmp_path, text))
    assert examples.raws() == ["Ann sings", "#"]
    assert spans(examples) == [[("Ann", "per")], []]


def test_a_sentence_may_begin_with_the_word_of_a_comment_mark(tmp_path: Path) -> None:
    assert read(written(tmp_path, "#rain\tO\n#\tO\nBo\tB-per\n")).raws() == ["#rain # Bo"]
    assert read(written(tmp_path, "# O\nBo B-per\n")).raws() == ["# Bo"]


def test_separators_of_unicode_are_part_of_words(tmp_path: Path) -> None:
    assert read(written(tmp_path, "a\u00a0b B-x\nc\u2028d O\n")).raws() == ["a\u00a0b c\u2028d"]


@pytest.mark.parametrize("blank", ["\u00a0", "\u2003 \t"])
def test_a_line_of_unicode_blanks_alone_ends_a_sentence(blank: str, tmp_path: Path) -> None:
    assert read(written(tmp_path, f"Ann B-per\n{blank}\nsings O\n")).raws() == ["Ann", "sings"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Ann B-per\nsings\n", r"data.conll:2 has 1 columns .*first line with a word has 2"),
        ("Ann\tB-per\n\tO\n", r"data.conll:2 has an empty column"),
        ("Ann\tB-per\nsings\t\n", r"data.conll:2 has 1 columns"),
        ("Ann\tB-per\nsings O\n", r"data.conll:2 has 1 columns .*tabs"),
        ("Ann\nsings\n", r"data.conll:1 has the one column 'Ann' and no label"),
        (
            "Ann B-per\nLee I-loc\n",
            r"data.conll:2: tag 'I-loc' follows no tag of its type\. .*data.conll:1 has 'B-per'",
        ),
        ("Ann B-per\nx O\n\nLee I-per\n", r"data.conll:4: tag 'I-per' follows no tag"),
        ("Ann B-per\nRome loc\n", r"data.conll:2: tag 'loc' has no prefix"),
        ("Ann B-per\nLee O\nx E-per\n", r"data.conll:1: the span of tag 'B-per' has no end"),
        ("x O\nLee E-per\n", r"data.conll:2: tag 'E-per' follows no beginning"),
        ("Ann S-per\nLee L-per\n", r"belong to no scheme.*data.conll:2"),
        ("", "holds no words"),
        ("\n\n-DOCSTART- O\n\n", "holds no words"),
    ],
)
def test_faults_are_named_with_file_and_line(text: str, fault: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=fault):
        read(written(tmp_path, text))


def test_a_file_that_is_not_utf8_is_named_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "data.conll"
    path.write_bytes("Bo\tB-per\nZürich\tB-loc\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"data.conll:2 is not UTF-8"):
        read(path)


def test_documents_stay_together_where_there_are_enough(tmp_path: Path) -> None:
    def documents(count: int) -> str:
        return "".join(f"-DOCSTART- -X- O\n\nBo{k} B-per\n\nsings O\n\n" for k in range(count))

    many = read(written(tmp_path, documents(12)))
    assert many.schema.group is not None
    assert many.column(many.schema.group) == [str(1 + k // 2) for k in range(24)]
    few = read(written(tmp_path, documents(3)))
    assert few.schema.group is None and any("3 documents" in note for note in few.notes)
    asked = read(written(tmp_path, documents(3)), Columns(group="document"))
    assert asked.schema.group == "document"


def test_empty_documents_are_no_sentences(tmp_path: Path) -> None:
    examples = read(written(tmp_path, "-DOCSTART- O\n\n-DOCSTART- O\n\nBo B-per\n\n-DOCSTART- O\n"))
    assert examples.raws() == ["Bo"]


def test_a_folder_has_a_file_per_part(tmp_path: Path) -> None:
    for name in ("train", "dev", "test"):
        written(tmp_path, f"{name} B-x\nO O\n", f"{name}.conll")
    written(tmp_path, "about", "README.md")
    examples = read(tmp_path)
    assert examples.raws() == ["train O", "dev O", "test O"]
    assert examples.schema.part is not None
    assert examples.column(examples.schema.part) == ["train", "val", "test"]


def test_the_schemes_of_all_parts_must_agree(tmp_path: Path) -> None:
    written(tmp_path, "Ann B-x\n", "train.conll")
    written(tmp_path, "Bo O\nCy I-x\n", "test.conll")
    with pytest.raises(DataError, match=r"test.conll:2.*train.conll:1"):
        read(tmp_path)


def test_files_that_are_not_named_after_parts_are_not_chosen_from(tmp_path: Path) -> None:
    for name in ("one", "two"):
        written(tmp_path, "Ann B-x\n", f"{name}.conll")
    with pytest.raises(DataError, match=r"one.conll, two.conll"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("text", "seen"), [("Ann B-per\n\nsings O\n", True), ("A plain note. O\nAnd more.\n", False), ("", False)]
)
def test_a_text_file_is_told_from_prose_by_its_tags(text: str, seen: bool, tmp_path: Path) -> None:
    assert (Conll.recognises(written(tmp_path, text, "data.txt")) is not None) == seen


@pytest.mark.parametrize(
    "given",
    [{"image": "x"}, {"text": ("words",)}, {"label": "tags"}, {"slices": ("a",)}, {"group": "g"}, {"domain": "d"}],
)
def test_columns_that_it_has_not_are_refused(given: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--|slice"):
        read(written(tmp_path, "Ann B-per\n"), Columns(**given))
