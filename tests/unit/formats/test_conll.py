"""CoNLL files: schemes that are recognised, and every fault named with its file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.contracts.left_out import LeftOut
from headstart.contracts.modality import raws_of
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
        for text, row in zip(raws_of(examples), examples.target("spans"))
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
    assert raws_of(examples) == ["Ann Lee saw Rome Oslo and Bo"]
    assert spans(examples) == [[("Ann Lee", "per"), ("Rome", "loc"), ("Oslo", "loc"), ("Bo", "per")]]
    assert any(scheme in note for note in examples.notes)


IOB2 = SCHEMES["IOB2"].split()
SPELLINGS = {
    "lower case": lambda tag: tag.lower(),
    "underscore": lambda tag: tag.replace("-", "_"),
    "behind": lambda tag: "-".join(reversed(tag.split("-"))),
    "lower case behind": lambda tag: "_".join(reversed(tag.lower().split("-"))),
    "0 outside": lambda tag: tag.replace("O", "0"),
    "underscore outside": lambda tag: tag.replace("O", "_"),
    "named": lambda tag: f"name={tag}",
    "among remarks": lambda tag: f"SpaceAfter=No|name={tag}" if tag == "O" else f"name={tag}",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_tags_are_recognised_however_they_are_spelt(spelling: str, tmp_path: Path) -> None:
    lines = [f"{word}\tX\t{SPELLINGS[spelling](tag)}" for word, tag in zip(WORDS, IOB2)]
    examples = read(written(tmp_path, "\n".join(lines)))
    assert spans(examples) == [[("Ann Lee", "per"), ("Rome", "loc"), ("Oslo", "loc"), ("Bo", "per")]]
    assert any("IOB2" in note for note in examples.notes)


def test_prefixes_alone_are_spans_of_one_kind(tmp_path: Path) -> None:
    examples = read(written(tmp_path, "\n".join(f"{word} {tag[0]}" for word, tag in zip(WORDS, IOB2))))
    assert spans(examples) == [[("Ann Lee", "entity"), ("Rome", "entity"), ("Oslo", "entity"), ("Bo", "entity")]]


@pytest.mark.parametrize("tags", ["b_cell O O", "vitamin-b O O", "PRON VERB PUNCT", "B O O"])
def test_labels_that_only_resemble_prefixes_stay_as_they_are(tags: str, tmp_path: Path) -> None:
    examples = read(written(tmp_path, "\n".join(f"w{k} {tag}" for k, tag in enumerate(tags.split()))))
    assert [label for _, label in spans(examples)[0]] == [tag for tag in tags.split() if tag != "O"]


@pytest.mark.parametrize("tags", ["0 1 2", "0 _ PER"])
def test_the_tag_of_no_entity_is_asked_for_where_it_is_not_clear(tags: str, tmp_path: Path) -> None:
    path = written(tmp_path, "\n".join(f"w{k} {tag}" for k, tag in enumerate(tags.split())))
    with pytest.raises(DataError, match=r"--set format\.outside=TAG"):
        read(path)
    assert [label for _, label in spans(Conll(outside="0").read(path, Columns()))[0]] == tags.split()[1:]
    path = written(tmp_path, "a none\nb B-x\n")
    with pytest.raises(DataError, match=r"tag 'none' has no prefix.*--set format\.outside=TAG"):
        read(path)
    assert spans(Conll(outside="none").read(path, Columns())) == [[("b", "x")]]


LEADING = {
    "from 1": lambda sentence, word: f"{word}",
    "from 0": lambda sentence, word: f"{word - 1}",
    "through the file": lambda sentence, word: f"{10 * sentence + word}",
    "the document's name": lambda sentence, word: f"doc{sentence // 2}",
    "name and number": lambda sentence, word: f"bc/cctv\t{word}",
}


@pytest.mark.parametrize("leading", LEADING)
@pytest.mark.parametrize("separator", ["\t", " "])
def test_columns_before_the_words_are_no_words(leading: str, separator: str, tmp_path: Path) -> None:
    words = [*zip(WORDS, IOB2), *zip("abc", "OOO")]  # sentences of 10 words, so that numbers go on through the file
    rows = [f"{LEADING[leading](s, k)}\t{word}\t{tag}" for s in range(3) for k, (word, tag) in enumerate(words, 1)]
    rows = [row.replace("\t", separator) + ("\n" if (at + 1) % 10 == 0 else "") for at, row in enumerate(rows)]
    path = written(tmp_path, "\n".join(rows))
    examples = read(path)
    assert raws_of(examples) == ["Ann Lee saw Rome Oslo and Bo a b c"] * 3
    assert spans(examples)[2] == [("Ann Lee", "per"), ("Rome", "loc"), ("Oslo", "loc"), ("Bo", "per")]
    assert any(note.startswith("the words are in column") for note in examples.notes)
    parts = [*Conll().stream(path, Columns(), 1)]
    assert [raw for part in parts for raw in raws_of(part)] == raws_of(examples) and parts[0].notes == examples.notes[
        :1
    ]


def test_words_that_happen_to_be_numbers_are_words(tmp_path: Path) -> None:
    assert raws_of(read(written(tmp_path, "1 CD O\n2 CD O\n\n7 CD B-x\n8 CD O\n"))) == ["1 2", "7 8"]
    assert raws_of(Conll(word=1).read(written(tmp_path, "1 O\n2 B-x\n"), Columns())) == ["1 2"]
    with pytest.raises(DataError, match=r"--set format\.word=1"):
        read(written(tmp_path, "1 O\n2 B-x\n"))


CONLLU = """# sent_id = 1
# text = Im Haus
1-2 Im _ _ _ SpaceAfter=No
1 In in ADP X _
2 dem der DET X _
3 Haus Haus NOUN X _
3.1 ist sein AUX X _

"""


def test_lines_of_conllu_that_are_no_single_word_are_counted(tmp_path: Path) -> None:
    path = written(tmp_path, CONLLU.replace(" ", "\t") * 2, "data.conllu")
    with pytest.raises(DataError, match=r"4 \(_, ADP, DET\).*--set format\.tag=NUMBER"):
        read(path)
    examples = Conll(tag=4).read(path, Columns())
    assert raws_of(examples) == ["In dem Haus"] * 2
    assert spans(examples)[0] == [("In", "ADP"), ("dem", "DET"), ("Haus", "NOUN")]
    assert sorted(note.number for note in examples.notes if isinstance(note, LeftOut)) == [4, 4]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a B-NP NN\nb I-NP VB\n", r"3 \(NN, VB\)\. Say which with --set format\.tag"),
        ("a NN VB _\nb NN VB _\n", r"it is not clear which column holds the tags"),
        ("B-x a\nO b\n", r"1 \(B-x, O\); 2 \(a, b\)\. .*format\.tag=NUMBER and --set format\.word=NUMBER"),
        ("1 B-x a\n2 O b\n", r"2 \(B-x, O\); 3 \(a, b\)\. .*format\.tag=NUMBER and --set format\.word=NUMBER"),
        ("1 a B-x\n2 b O\n1 c O\n2 d O\n", ""),
        ("a B-x\n\nb O\n", ""),
        ("a NN B-x _\nb NN O _\n", ""),
        ("a B-NP B-x\nb I-NP O\n", ""),
    ],
)
def test_the_column_of_tags_is_seen_or_asked_for(text: str, fault: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    if fault:
        with pytest.raises(DataError, match=fault):
            read(path)
    else:
        assert [label for row in spans(read(path)) for _, label in row] == ["x"]


def test_columns_that_are_asked_for_are_there_and_the_same_in_all_parts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has 2 columns; format\.tag=3"):
        Conll(tag=3).read(written(tmp_path, "a B-x\n"), Columns())
    (tmp_path / "data.conll").unlink()
    written(tmp_path, "1 a B-x\n2 b O\n", "train.conll")
    written(tmp_path, "a X B-x\n", "test.conll")
    with pytest.raises(DataError, match=r"2 and 3 in train\.conll; 1 and 3 in test\.conll"):
        read(tmp_path)


@pytest.mark.parametrize("comment", ["# s{}", "#\thttp://example.org/{}", "# id = {} B", "# {}\n# text = a"])
def test_comments_are_counted_however_many_columns_they_have(comment: str, tmp_path: Path) -> None:
    for separator in " \t":
        text = "\n\n".join(f"{comment.format(k)}\nBo{separator}B-per\nsings{separator}O" for k in range(3))
        examples = read(written(tmp_path, text))
        assert (
            raws_of(examples) == ["Bo sings"] * 3
            and examples.origins()[0] == f"data.conll:{2 + comment.count(chr(10))}"
        )
        (note,) = [note for note in examples.notes if isinstance(note, LeftOut)]
        assert note.number == 3 * (1 + comment.count("\n")) and "comments" in note and "data.conll:1" in note


@pytest.mark.parametrize("start", ["-DOCSTART- O", "0 -DOCSTART- O", "#begin document a", "# newdoc id = a"])
def test_documents_begin_in_several_ways(start: str, tmp_path: Path) -> None:
    text = "".join(f"{start}\n\nBo{k} X B-per\nsings X O\n\n" for k in range(12))
    examples = read(written(tmp_path, text))
    assert examples.schema.group is not None and len(set(examples.column(examples.schema.group))) == 12
    assert len(examples) == 12


def test_tags_without_prefix_label_a_word_each(tmp_path: Path) -> None:
    examples = read(written(tmp_path, "it\tPRON\nrains\tVERB\n.\tO\n"))
    assert spans(examples) == [[("it", "PRON"), ("rains", "VERB")]]


def test_words_have_their_places_in_the_text(tmp_path: Path) -> None:
    examples = read(written(tmp_path, "New York\tB-loc\n's\tO\n\nBo\tB-per\n"))
    assert examples.schema.words is not None
    words = examples.column(examples.schema.words)
    texts = [[str(text)[word["start"] : word["end"]] for word in row] for text, row in zip(raws_of(examples), words)]
    assert texts == [["New York", "'s"], ["Bo"]]


def test_line_ends_blanks_marks_and_a_missing_last_newline_are_taken_as_meant(tmp_path: Path) -> None:
    text = "\ufeffAnn\tB-per\r\nsings\tO\r\n\r\n \t\r\n\r\nRome\tB-loc"
    examples = read(written(tmp_path, text))
    assert raws_of(examples) == ["Ann sings", "Rome"]
    assert examples.origins() == ["data.conll:1", "data.conll:6"]


def test_the_last_of_several_columns_is_the_tag_and_comments_are_passed_over(tmp_path: Path) -> None:
    text = "# id 7 domain=x\nAnn NNP B-NP B-per\nsings VBZ B-VP O\n\n# id 8\n# . O O\n"
    examples = read(written(tmp_path, text))
    assert raws_of(examples) == ["Ann sings", "#"]
    assert spans(examples) == [[("Ann", "per")], []]


def test_a_sentence_may_begin_with_the_word_of_a_comment_mark(tmp_path: Path) -> None:
    assert raws_of(read(written(tmp_path, "#rain\tO\n#\tO\nBo\tB-per\n"))) == ["#rain # Bo"]
    assert raws_of(read(written(tmp_path, "# O\nBo B-per\n"))) == ["# Bo"]


def test_separators_of_unicode_are_part_of_words(tmp_path: Path) -> None:
    assert raws_of(read(written(tmp_path, "a\u00a0b B-x\nc\u2028d O\n"))) == ["a\u00a0b c\u2028d"]


@pytest.mark.parametrize("blank", ["\u00a0", "\u2003 \t"])
def test_a_line_of_unicode_blanks_alone_ends_a_sentence(blank: str, tmp_path: Path) -> None:
    assert raws_of(read(written(tmp_path, f"Ann B-per\n{blank}\nsings O\n"))) == ["Ann", "sings"]


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
    assert raws_of(examples) == ["Bo"]


def test_a_folder_has_a_file_per_part(tmp_path: Path) -> None:
    for name in ("train", "dev", "test"):
        written(tmp_path, f"{name} B-x\nO O\n", f"{name}.conll")
    written(tmp_path, "about", "README.md")
    examples = read(tmp_path)
    assert raws_of(examples) == ["train O", "dev O", "test O"]
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
