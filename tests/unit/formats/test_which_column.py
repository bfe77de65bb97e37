"""Which column is the label where its name does not say so, and parts of a split whose columns are called otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pytest

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.contracts.modality import raws_of
from headstart.formats.table import Table
from headstart.kernel.errors import DataError

TEXTS = [f"a sentence of some words, number {k}" for k in range(12)]
KINDS = ["ham", "spam", "ham"] * 4


def read(source: Any, **columns: Any) -> Examples:
    return Table().read(source, Columns(**columns))


@pytest.mark.parametrize(
    ("text", "label"),
    [
        *(
            ("text", "label_name"),
            ("v2", "v1"),
            ("sentence", "label"),
            ("review", "sentiment"),
            ("headline", "is_sarcastic"),
        ),
        *(("statement", "status"), ("Message", "Category"), ("Phrase", "kind of it"), ("tweet", "airline_sentiment")),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "frame"])
def test_common_pairs_of_names_are_recognised(text: str, label: str, kind: str, tmp_path: Path) -> None:
    values = ["01", "02", "01"] * 4 if kind == "csv" else KINDS
    frame = pd.DataFrame({"id": range(12), label: values, text: TEXTS, "Unnamed: 3": [None] * 11 + ["x"]})
    frame.to_csv(tmp_path / "a.csv", index=False)
    examples = read(tmp_path / "a.csv" if kind == "csv" else frame)
    assert (examples.schema.inputs, examples.target(), raws_of(examples)) == ((text,), values, TEXTS)


def test_the_sms_collection_is_read_as_it_is_downloaded(tmp_path: Path) -> None:
    rows = [f'{kind},"{text} £5",,,' for kind, text in zip(KINDS, TEXTS)]
    (tmp_path / "spam.csv").write_bytes("\r\n".join(["v1,v2,,,", *rows, ""]).encode("latin-1"))
    examples = read(tmp_path / "spam.csv")
    assert examples.target() == KINDS and raws_of(examples)[0] == f"{TEXTS[0]} £5"
    for told in ("not UTF-8", "3 columns without a name left out", "label is read from column 'v1'"):
        assert any(told in note for note in examples.notes)


@pytest.mark.parametrize(
    "columns",
    [
        {"a": TEXTS, "b": [f"name {k}" for k in range(12)]},
        {"a": TEXTS, "b": KINDS, "c": KINDS},
        {"a": TEXTS, "b": [k / 7 for k in range(12)]},
        {"a": KINDS, "b": KINDS},
        {"a": TEXTS, "b": ["same"] * 12},
    ],
)
def test_a_label_that_is_not_plain_is_asked_for(columns: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"plainly the label\. Say which with --label COLUMN"):
        read(pd.DataFrame(columns))


def parts(folder: Path, test: dict[str, Any], train: str = "label", **more: Any) -> Path:
    pd.DataFrame({"text": TEXTS, train: KINDS, **more}).to_csv(folder / "train.csv", index=False)
    pd.DataFrame(test).to_csv(folder / "test.csv", index=False)
    return folder


@pytest.mark.parametrize(
    ("test", "train", "wrong", "said"),
    [
        (
            {"text": TEXTS, "kind": KINDS},
            "label",
            "test.csv has no column 'label', but 'kind' with the same",
            "'label' there",
        ),
        (
            {"text": TEXTS, "class": KINDS[::-1]},
            "label",
            "test.csv has no column 'label', but 'class'",
            "give the other",
        ),
        (
            {"text": TEXTS, "sentiment": [7] * 12},
            "label",
            "but 'sentiment' with values such as 7",
            "take the column out",
        ),
        (
            {"text": TEXTS, "label": KINDS},
            "sentiment",
            "train.csv has no column 'label', but 'sentiment'",
            "'label' there",
        ),
        ({"review": TEXTS, "label": KINDS}, "label", "test.csv has no column 'text'", "Its columns: review, label"),
    ],
)
def test_a_part_whose_columns_are_called_otherwise_is_refused(
    test: dict[str, Any], train: str, wrong: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=rf"{wrong}.*{said}"):
        read(parts(tmp_path, test, train))


def test_a_part_without_labels_is_left_out_and_its_own_columns_named(tmp_path: Path) -> None:
    examples = read(parts(tmp_path, {"text": TEXTS, "note": TEXTS}))
    assert len(examples) == 12
    assert "12 rows of test left out, as they have no column 'label', and of its own note" in examples.notes


def test_a_split_that_is_called_unsupervised_is_left_out(tmp_path: Path) -> None:
    rows = datasets.Dataset.from_dict({"text": TEXTS, "label": KINDS})
    splits = datasets.DatasetDict({"train": rows, "test": rows, "unsupervised": rows})
    splits.save_to_disk(tmp_path / "imdb")
    for source in (splits, tmp_path / "imdb"):
        examples = read(source)
        assert len(examples) == 24
        assert any("12 rows of unsupervised left out" in note for note in examples.notes)
