"""Label cells are read in one way, decided over the whole column: the values, the notes and the refusals."""

from __future__ import annotations

import datetime
import json
import random
import uuid
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import headstart
from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.contracts.modality import raws_of
from headstart.formats.table import Table
from headstart.kernel.errors import DataError, SettingsError

DRAWS = random.Random(0)
SETS = [sorted(DRAWS.sample(["big", "blue", "it's red"], DRAWS.randint(0, 3))) for _ in range(60)]
HOT = [[DRAWS.randint(0, 1) for _ in range(5)] for _ in range(60)]
PLACES = [[str(k) for k in range(5) if hot[k]] for hot in HOT]
SPANS = [[{"start": 2, "end": 6, "label": "kind"}, {"start": 7, "end": 13, "label": "what"}]] * 60
PRICES = [1137.5 * k - 2000 for k in range(60)]
GERMAN = [f"{price:,.2f}".translate(str.maketrans(",.", ".,")) for price in PRICES]


def frame(labels: list[Any]) -> pd.DataFrame:
    return pd.DataFrame({"text": [f"a text number {k}" for k in range(len(labels))], "label": labels})


def read(cells: list[Any], folder: Path, form: str = "csv", **settings: Any) -> Examples:
    source: Any = folder / f"t.{form}"
    if form == "csv":
        frame(cells).to_csv(source, index=False)
    elif form == "jsonl":
        frame(cells).to_json(source, orient="records", lines=True)
    elif form == "parquet":
        frame(cells).to_parquet(source)
    else:
        source = frame(cells)
    return Table(**settings).read(source, Columns(text="text", label="label"))


def names(examples: Examples) -> list[Any]:
    """The labels as they are written."""
    return examples.column(examples.schema.written or "label")


@pytest.mark.parametrize(
    ("write", "form"),
    [
        (str, "csv"),
        (json.dumps, "csv"),
        (json.dumps, "parquet"),
        (tuple, "csv"),
        (lambda some: str(set(some)), "csv"),
        (lambda some: str(np.array(some, dtype=object)), "csv"),
        (lambda some: repr(np.array(some, dtype=object)), "csv"),
        (lambda some: str([np.str_(one) for one in some]), "csv"),
        (lambda some: f"[{', '.join(some)}]", "csv"),
        (lambda some: ", ".join(map(repr, some)) or "''", "csv"),
        (lambda some: np.array(some, dtype=object), "frame"),
        (set, "frame"),
        (tuple, "frame"),
        (list, "jsonl"),
    ],
)
def test_lists_in_any_notation_are_sets_of_labels(write: Any, form: str, tmp_path: Path) -> None:
    examples = read([write(some) for some in SETS], tmp_path, form)
    assert [sorted(some) for some in examples.target()] == SETS
    assert "column 'label': 60 of 60 cells are lists, read as sets of labels" in examples.notes


@pytest.mark.parametrize(
    ("write", "form"),
    [
        (str, "csv"),
        (lambda hot: str(np.array(hot)), "csv"),
        (lambda hot: str([bool(one) for one in hot]), "csv"),
        (lambda hot: "|".join(map(str, hot)), "csv"),
        (lambda hot: ", ".join(map(str, hot)), "csv"),
        (lambda hot: str([np.int64(one) for one in hot]), "csv"),
        (list, "jsonl"),
        (lambda hot: [float(one) for one in hot], "jsonl"),
    ],
)
def test_vectors_of_0_and_1_are_labels_by_place(write: Any, form: str, tmp_path: Path) -> None:
    examples = read([write(hot) for hot in HOT], tmp_path, form)
    assert examples.target() == PLACES
    assert any("60 of 60 cells are vectors of 5 numbers 0 and 1" in note for note in examples.notes)


def test_vectors_with_a_single_1_are_classes(tmp_path: Path) -> None:
    assert read([[0, 1, 0], [1, 0, 0], [0, 0, 1]] * 5, tmp_path).target() == ["1", "0", "2"] * 5


@pytest.mark.parametrize(
    "write",
    [
        str,
        json.dumps,
        lambda spans: str([tuple(span.values()) for span in spans]),
        lambda spans: str(np.array(spans, dtype=object)),
        lambda spans: str({"entities": [tuple(span.values()) for span in spans]}),
        lambda spans: [{"start": s["start"], "end": s["end"], "text": "", "labels": [s["label"]]} for s in spans],
        lambda spans: str({key: [span[key] for span in spans] for key in spans[0]}),
    ],
)
def test_records_in_any_notation_are_spans(write: Any, tmp_path: Path) -> None:
    assert read([write(spans) for spans in SPANS], tmp_path).target("spans") == SPANS


def test_words_and_tags_in_the_cells_of_a_file_are_lists(tmp_path: Path) -> None:
    words, path = ["Ann", "left", "Rome"], tmp_path / "t.csv"
    table = pd.DataFrame({"tokens": [words, np.array(words)] * 3, "ner_tags": [["B-per", "O", "B-loc"]] * 6})
    table.to_csv(path, index=False)
    examples = Table().read(path, Columns())
    assert raws_of(examples) == ["Ann left Rome"] * 6
    assert [span["label"] for span in examples.target("spans")[1]] == ["per", "loc"]
    assert [raw for some in Table().stream(path, Columns(), 2) for raw in raws_of(some)] == raws_of(examples)


@pytest.mark.parametrize(
    ("labels", "kept"),
    [
        (["001", "007", "012"], True),
        (["1.10", "1.1", "1.2"], True),
        (["1.0", "2.0", "3.0"], False),
        (["1e3", "2e3", "3E3"], False),
        (["+1", "-1", "0"], False),
        (["true", "false", "true"], True),
        (["TRUE", "False", "no"], True),
        (["08:30", "12:00", "19:45"], True),
        (["2020-01-01", "2020-06-01", "2021-01-01"], True),
        (["12345678901234567890", "12345678901234567891", "7"], True),
        (["NA", "EU", "APAC"], True),
        (["Paris, France", "Lyon, France", "Rome, Italy"], True),
        (["C|C++", "Java", "Rust"], True),
        (["R&D; Sales", "Legal", "IT"], True),
        (["C#", "F#", "C"], True),
        (["1", "2", "other"], True),
        (["inf", "-inf", "0"], True),
        (["0x1", "1_000", "١"], True),
        (["$5", "$10", "$20"], False),
        (["[good]", "[bad]", "[ugly]"], True),
    ],
)
def test_classes_are_called_as_they_are_written(labels: list[str], kept: bool, tmp_path: Path) -> None:
    examples = read(labels * 20, tmp_path)
    assert names(examples) == labels * 20 and examples.schema.separator == ""
    assert (examples.target() == labels * 20) == kept  # numbers are numbers beside their spelling


def test_one_number_in_two_spellings_is_one_class_where_all_are_whole(tmp_path: Path) -> None:
    examples = read(["0", "1", "0.0", "1.0"] * 5, tmp_path)
    assert examples.target() == [0, 1, 0, 1] * 5 and examples.schema.written is None


def test_values_of_other_types_are_labels() -> None:
    pieces = pd.DataFrame({"text": ["a"] * 4, "label": pd.cut(range(4), [-1, 1, 3])})
    assert Table().read(pieces, Columns()).target() == ["(-1, 1]"] * 2 + ["(1, 3]"] * 2
    assert read([uuid.UUID(int=k) for k in range(2)], Path(), "frame").target() == [
        str(uuid.UUID(int=k)) for k in range(2)
    ]
    assert read([10**20, 10**20 + 1], Path(), "frame").target() == ["1" + "0" * 20, "1" + "0" * 19 + "1"]
    days = [datetime.datetime(2020, 1, 1), datetime.datetime(2021, 5, 5)]
    assert read(days, Path(), "frame").target() == ["2020-01-01", "2021-05-05"]
    assert read([f"{k}.5" for k in range(60)], Path(), "frame").target()[:2] == ["0.5", "1.5"]


@pytest.mark.parametrize(
    ("cells", "separator"),
    [
        (["red|big", "red", "big", None], "|"),
        (["red; big", "red", "big", None], ";"),
        (["red, big", "red", "big", "big, red", None], ","),
        (["red#big", "red", "big", "big#red", None], "#"),
        (["1|2", "2", "1|3"], "|"),
        (["Salem, Oregon", "Portland, Oregon", "Portland, Maine", "Salem, Oregon"], ""),
        ([*(f"kind {k % 3}" for k in range(99)), "kind 1|kind 2"], ""),  # one slip of the pen in a hundred
    ],
)
def test_a_separator_stands_between_labels_that_cells_share(cells: list[Any], separator: str, tmp_path: Path) -> None:
    assert read(cells, tmp_path).schema.separator == separator


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        ([f"{price:.2f}".replace(".", ",") for price in PRICES], PRICES),
        (GERMAN, PRICES),
        ([f"{price:,.2f}" for price in PRICES], PRICES),
        ([f"{price:,.2f} €".replace(",", "\u00a0").replace(".", ",") for price in PRICES], PRICES),
        ([f"${price:,.2f}".replace("$-", "-$") for price in PRICES], PRICES),
        ([f"{k / 4} %" for k in range(60)], [k / 4 for k in range(60)]),
        ([f"\u2212{k}.5" for k in range(60)], [-k - 0.5 for k in range(60)]),
    ],
)
def test_numbers_in_another_notation_are_read_where_one_decimal_sign_fits(
    cells: list[str], values: list[float], tmp_path: Path
) -> None:
    for form in ("csv", "parquet"):
        examples = read(cells, tmp_path, form)
        assert examples.target() == pytest.approx(values)
        assert any("60 of 60 cells are numbers" in note and "decimal" in note for note in examples.notes)


@pytest.mark.parametrize(
    ("cells", "settings", "values"),
    [
        ([f"${9000 + k:,d}" for k in range(60)], {"decimal": "point"}, [9000 + k for k in range(60)]),
        ([f"{k},{k % 10}" for k in range(20)], {"decimal": "comma"}, [k + k % 10 / 10 for k in range(20)]),
        (["001", "002", "010"], {"labels": "numbers"}, [1, 2, 10]),
        (["[0, 1]", "[1, 0]"], {"labels": "sets"}, [["0", "1"], ["1", "0"]]),
        (["[0, 1]", "[1, 1]"], {"labels": "vectors"}, [["1"], ["0", "1"]]),
        (["['a']", "a|b"], {"labels": "names"}, ["['a']", "a|b"]),
    ],
)
def test_settings_settle_what_is_unclear(cells: list[str], settings: Any, values: list[Any], tmp_path: Path) -> None:
    assert read(cells, tmp_path, **settings).target() == values


def test_settings_hold_for_typed_tables_too(tmp_path: Path) -> None:
    assert read([1.0, 2.0, None], tmp_path, "parquet", labels="names").target() == ["1", "2", None]
    assert read([f"{k}.5" for k in range(9)], tmp_path, "parquet", labels="numbers").target()[0] == 0.5
    with pytest.raises(DataError, match=r"the cells are lists, such as \['a'\] \(row 0\), and no names"):
        read([["a"], ["b"]], tmp_path, "frame", labels="names")


def test_words_for_no_value_among_numbers_are_no_label(tmp_path: Path) -> None:
    examples = read([*(f"{k}.5" for k in range(57)), "?", "-", "NA"], tmp_path)
    assert examples.target()[-4:] == [56.5, None, None, None]
    assert any("57 of 60 cells are numbers; 3, such as '?', have no label" in note for note in examples.notes)


@pytest.mark.parametrize(
    ("cells", "form", "message"),
    [
        (
            [*map(str, SETS[:57]), "red", "['red'", "x"],
            "csv",
            r"'red' \(t.csv:59\) cannot be read as a list, as 57 of 60",
        ),
        (["[0 1 ... 1]", "[0 1 1]"], "csv", r"NumPy left items out of it at '...'"),
        (
            [*map(str, HOT[:59]), "[0, 1, 1, 0]"],
            "csv",
            r"59 of 60 cells are vectors of 5 .* but not \[0, 1, 1, 0\] \(t.csv:61\)",
        ),
        (["[0, 1]", "[1, 0]"], "csv", "--set format.labels=sets or --set format.labels=vectors"),
        (["[3, 1, 3]", "[5, 5, 0]"], "csv", "lists of 3 numbers"),
        (["[0.2, 0.8]", "[0.5, 0.5]"], "csv", r"0.2 in \[0.2, 0.8\] \(t.csv:2\) is not a label"),
        (
            ["-1", "0", "1", "2"] * 15,
            "csv",
            "15 cells are -1, beside class numbers from 0 on.*format.labels=names",
        ),
        ([-100, 0, 1, 2] * 15, "parquet", "15 cells are -100, beside class numbers from 0 on"),
        (["[0, -1]", "[1, 2]"], "csv", r"-1 in \[0, -1\] \(t.csv:2\) is not a class number"),
        ([[0, -100], [1, 2]], "parquet", r"-100 in \[0, -100\] \(t.parquet:1\) is not a class number"),
        (
            [*(f"{k}.5" for k in range(97)), "abc", "12kg", "x"],
            "csv",
            r"97 of 100 cells are numbers, 3 are not, such as 'abc'",
        ),
        ([f"${9000 + k:,d}" for k in range(60)], "csv", "--set format.decimal=point or --set format.decimal=comma"),
        ([f"{k % 7},{k % 10}" for k in range(60)], "csv", "--set format.decimal=comma or --set format.labels=sets"),
        ([*(f"{k}.5" for k in range(50)), "8,3"], "csv", r"some numbers have a decimal comma, '8,3' .* others a point"),
        (["$5", "€7"] * 30, "csv", "numbers with . and with ."),
        (["5 %", "0.5"] * 30, "csv", r"some numbers have the sign %, and not '0.5' \(t.csv:3\)"),
        ([f"{k} kg" for k in range(60)], "csv", r"all cells are numbers of kg, such as '0 kg' \(t.csv:2\)"),
        (["a", "b"], "csv", None),
    ],
)
def test_cells_that_are_unclear_or_only_partly_readable_are_refused(
    cells: list[Any], form: str, message: str | None, tmp_path: Path
) -> None:
    if message is None:
        with pytest.raises(DataError, match="asks for lists of 0 and 1, unlike 'a'"):
            read(cells, tmp_path, form, labels="vectors")
        return
    with pytest.raises(DataError, match=message):
        read(cells, tmp_path, form)


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (
            ["1", "2", "3", "10+"],
            "45 of 60 cells are numbers, 15 are not, such as '10+' (t.csv:5); all are taken for names",
        ),
        (["None", "Mild", "Mild"], "20 cells say 'None', taken for a class"),
        (["cat", "dog", "['a']"], "20 of 60 cells look like lists, such as \"['a']\" (t.csv:4); all are names"),
        (["C|C++", "Java"], "'|' in 30 of 60 cells is part of a name; --set format.labels=sets splits there"),
        (["[-1]", "[0, 2]"], "30 lists hold only negative class numbers, which are not labels"),
        (["café", "cafe\u0301", "the"], "40 cells had their accents in two forms and are read in one"),
        (["café|b", "cafe\u0301", "b"], "40 cells had their accents in two forms and are read in one"),
        (["a|b", "a"], "30 of 60 cells name several labels with '|' between them"),
        (["007", "008"], "have leading zeros, so the cells are taken for names; --set format.labels=numbers"),
    ],
)
def test_what_was_decided_is_told(cells: list[str], told: str, tmp_path: Path) -> None:
    notes = read(cells * (60 // len(cells)), tmp_path).notes
    assert any(told in note for note in notes), notes


NAMES = datasets.ClassLabel(names=["apple", "box"])
LISTS = datasets.Features({"text": datasets.Value("string"), "label": datasets.Sequence(NAMES)})
TAGGED = datasets.Features(
    {"tokens": datasets.Sequence(datasets.Value("string")), "ner_tags": datasets.Sequence(NAMES)}
)


def test_negative_class_numbers_alone_are_no_label_and_beside_others_refused() -> None:
    texts = {"text": ["a b", "c d", "e f"]}
    data = datasets.Dataset.from_dict({**texts, "label": [[0], [-1], [0, 1]]}, features=LISTS)
    assert Table().read(data, Columns()).target() == [["apple"], None, ["apple", "box"]]
    padded = datasets.Dataset.from_dict({**texts, "label": [[0], [1, -1], [0, 1]]}, features=LISTS)
    with pytest.raises(DataError, match="row 1, column 'label': -1 is not a class number; these are 0 to 1"):
        Table().read(padded, Columns())
    assert len(next(Table().stream(padded, Columns(text="text"), 3))) == 3  # predictions need no labels
    tags = datasets.Dataset.from_dict({"tokens": [["a", "b"]] * 2, "ner_tags": [[0, 1], [1, -100]]}, features=TAGGED)
    with pytest.raises(DataError, match="row 1, column 'ner_tags': -100 is not a class number"):
        Table().read(tags, Columns())


def numbers(folder: Path, label: list[str], *, a: Any = "{:.3f}".format, name: str = "t.csv") -> Path:
    """A table of two numbers by which its three labels can be told."""
    rows = [f'"{a(k % 3 + k / 100)}";"{k % 3 * 2 + k / 70:.3f}";"{label[k % 3]}"' for k in range(60)]
    (folder / name).write_text("\n".join(["a;b;label", *rows]), encoding="utf-8")
    return folder / name


@pytest.mark.slow
def test_inspect_counts_the_labels_of_fit_and_predictions_are_written_as_labels_are(tmp_path: Path) -> None:
    source = numbers(tmp_path, ["1.10", "1.1", "cat "])
    found = headstart.inspect(source)
    assert found.classes == {"1.1": 20, "1.10": 20, "cat ": 20}
    run = headstart.fit(source, out=tmp_path / "run", tuning="probe", scratch=False)
    assert any("40 of 60 cells are numbers, 20 are not" in note for note in run.record.data.notes)
    headstart.predict(run, source, out=tmp_path / "found.csv")
    written = pd.read_csv(tmp_path / "found.csv", dtype=str)
    assert {*written["prediction"]} == {"1.10", "1.1", "cat "}
    again = numbers(tmp_path, ["1.10", "1.1", "1.10"], name="more.csv")
    assert headstart.evaluate(run, again).n == 60  # names still, as in training


def test_a_run_knows_other_spellings_of_its_classes(tmp_path: Path) -> None:
    run = headstart.fit(
        numbers(tmp_path, ["1", "true", "caf\u00e9"]), out=tmp_path / "run", tuning="probe", scratch=False
    )
    other = numbers(tmp_path, ["1.0", "TRUE", "cafe\u0301"], name="more.csv")
    assert headstart.evaluate(run, other).n == 60


def test_a_run_keeps_what_was_decided_about_its_labels(tmp_path: Path) -> None:
    prices = numbers(tmp_path, ["$1,000.50", "$2,000.25", "$3,000"])
    run = headstart.fit(prices, out=tmp_path / "run", tuning="probe", scratch=False)
    assert run.record.task == "regression"
    assert headstart.evaluate(run, numbers(tmp_path, ["$1,001", "$2,001", "$3,001"], name="more.csv")).n == 60


def test_inspect_counts_each_label_of_sets(tmp_path: Path) -> None:
    cells = ["['red', 'big']", "['red']", "[]"]
    assert headstart.inspect(numbers(tmp_path, cells)).classes == {"big": 20, "red": 40}


def test_classes_that_differ_in_case_or_spaces_are_told_by_inspect_and_fit(tmp_path: Path) -> None:
    source = numbers(tmp_path, ["Cat", "cat ", "dog"])
    said = "classes that differ only in case or spaces: 'Cat', 'cat '"
    assert any(finding.severity == "warning" and finding.text == said for finding in headstart.inspect(source).findings)
    run = headstart.fit(source, out=tmp_path / "run", tuning="probe", scratch=False)
    assert said in run.record.data.notes


def test_inputs_with_decimal_commas_are_read_where_the_user_says_so(tmp_path: Path) -> None:
    source = numbers(tmp_path, ["x", "y", "z"], a=lambda value: f"{value:.3f}".replace(".", ","))
    told = [finding.text for finding in headstart.inspect(source).findings]
    assert any(
        "column 'a' left out: its cells are numbers such as" in text and "format.decimal=comma" in text for text in told
    )
    settings = {"format": {"decimal": "comma"}}
    assert headstart.inspect(source, settings=settings).spreads["a"].maximum == pytest.approx(2.59)
    run = headstart.fit(source, out=tmp_path / "run", tuning="probe", scratch=False, settings=settings)
    assert headstart.predict(run, source)["prediction"].tolist() == ["x", "y", "z"] * 20
    with pytest.raises(SettingsError, match="only settings of"):
        headstart.inspect(source, settings={"tuning": {"epochs": 3}})


def test_inputs_that_are_partly_numbers_or_have_words_for_no_value(tmp_path: Path) -> None:
    source = numbers(tmp_path, ["x", "y", "z"], a=lambda value: "?" if value > 2.5 else "abc" if value > 2.4 else value)
    examples = Table().read(source, Columns())
    assert examples.schema.inputs == ("b",)
    assert any("column 'a' left out: 53 of 57 cells are numbers, 4 are not, such as 'abc'" in n for n in examples.notes)
    source = numbers(tmp_path, ["x", "y", "z"], a=lambda value: "?" if value > 2.5 else value)
    assert [np.isnan(raw[0]) for raw in raws_of(Table().read(source, Columns()))].count(True) == 3


def test_accents_in_two_forms_are_the_same_in_columns_paths_and_class_folders(tmp_path: Path) -> None:
    nfc, nfd = "caf\u00e9", "cafe\u0301"
    table = frame(["a", "b"]).rename(columns={"label": nfd})
    assert Table().read(table, Columns(text="text", label=nfc)).target() == ["a", "b"]
    for k, folder in enumerate((f"train/{nfc}", f"test/{nfd}", "train/the", "test/the")):
        (tmp_path / "p" / folder).mkdir(parents=True)
        Image.new("RGB", (8, 8), (k, 0, 0)).save(tmp_path / "p" / folder / f"{nfd}.png")
    assert headstart.inspect(tmp_path / "p").classes == {nfc: 2, "the": 2}
    rows = pd.DataFrame({"file": [f"p/train/{nfc}/{nfc}.png", f"p/test/{nfc}/{nfc}.png"], "label": ["x", "y"]})
    rows.to_csv(tmp_path / "t.csv", index=False)
    examples = Table().read(tmp_path / "t.csv", Columns())
    assert examples.schema.modality == "image" and all(path.exists() for path in raws_of(examples))
    assert all(path.exists() for some in Table().stream(tmp_path / "t.csv", Columns(), 1) for path in raws_of(some))
