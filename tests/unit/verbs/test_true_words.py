"""Sentences about data and runs that say what is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import headstart
from headstart.kernel.errors import DataError
from headstart.pipeline.inspection import Inspection
from labelled import blobs

SETS = [["red"], ["red", "round"], [], ["big", "round"], ["red", "big"], ["round"]] * 12


def said(found: Inspection) -> str:
    return "\n".join(finding.text for finding in found.findings)


def tagged(folder: Path, sentences: dict[str, list[str]]) -> Path:
    """CoNLL files by part; each sentence is a row of the types of its words, 'O' for none."""
    for part, rows in sentences.items():
        text = ["\n".join(f"w{part}{k}x{n} {tag}" for n, tag in enumerate(row.split())) for k, row in enumerate(rows)]
        (folder / f"{part}.conll").write_text("\n\n".join(text) + "\n")
    return folder


@pytest.mark.parametrize(("trained", "told"), [("O B-rare B-misc", False), ("O B-rare O", True)])
def test_types_beside_rarer_ones_are_trained_on(tmp_path: Path, trained: str, told: bool) -> None:
    """In every training text 'misc' stands beside a type that fewer texts have."""
    rows = {"train": [trained] * 5 + ["B-per O O"] * 20, "test": ["B-misc O", "O B-per", "O O B-misc"] * 4}
    found = headstart.inspect(tagged(tmp_path, rows))
    assert ("no training example has 'misc'" in said(found)) is told


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["lists", "|", " + ", "columns"])
def test_several_labels_are_counted_one_by_one(cell: str) -> None:
    frame = pd.DataFrame({"text": [f"text number {k} {k * k}" for k in range(72)]})
    settings, names = {}, ["big", "red", "round"]
    if cell == "columns":
        frame = frame.assign(**{name: [int(name in some) for some in SETS] for name in names})
    else:
        frame["label"] = SETS if cell == "lists" else [cell.join(some) for some in SETS]
        settings = {"task": {"separator": cell}} if cell == " + " else {}
    found = headstart.inspect(
        frame, label=names if cell == "columns" else "label", task="multilabel", settings=settings
    )
    assert found.classes == {"big": 24, "red": 36, "round": 36} and not found.missing_labels
    assert "72 examples with any number of 3 classes: big 24, red 36, round 36" in said(found)
    assert "no label" not in said(found) and "accuracy" not in said(found)


def test_a_named_task_is_inspected_whatever_labels_look_like() -> None:
    frame = pd.DataFrame({"text": [f"text number {k} {k * k}" for k in range(72)]})
    frame["label"] = [" + ".join(some) for some in SETS]
    assert headstart.inspect(frame, label="label", task="multilabel").classes["red + round"] == 12


@pytest.mark.slow
def test_a_refused_evaluation_is_no_reading_of_the_test_part(tmp_path: Path) -> None:
    X, kinds = blobs(60, 4, 3, seed=0, noise=0.3)
    frame = pd.DataFrame(X, columns=list("abcd")).assign(label=np.array(["x", "y", "z"])[kinds])
    run = headstart.fit(frame, label="label", out=tmp_path / "run")
    before = run.record.test_reads
    for bad in (frame.assign(label="w"), frame.assign(label=None)):
        with pytest.raises(DataError):
            headstart.evaluate(tmp_path / "run", bad)
        assert headstart.load(tmp_path / "run").record.test_reads == before
    assert headstart.evaluate(tmp_path / "run", frame).test_reads == before + 1


@pytest.mark.slow
def test_what_is_trained_from_scratch_comes_from_no_run(tmp_path: Path) -> None:
    X, kinds = blobs(60, 4, 3, seed=0, noise=0.3)
    frame = pd.DataFrame(X, columns=list("abcd")).assign(label=np.array(["x", "y", "z"])[kinds])
    few = {"tuning": {"epochs": 1}, "scratch": {"epochs": 1}}
    first = {"backbone": "table_mlp", "weights": "random", "tuning": "full", "scratch": False, "settings": few}
    headstart.fit(frame, label="label", out=tmp_path / "first", **first)
    run = headstart.fit(
        frame,
        label="label",
        backbone=str(tmp_path / "first"),
        out=tmp_path / "next",
        settings={"scratch": {"epochs": 1}},
    )
    assert run.record.arms["model"].title.endswith("table_mlp from run first")
    assert run.record.arms["scratch"].title == "table_mlp from scratch"
