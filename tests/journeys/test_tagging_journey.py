"""Tagging as a user does it: CoNLL files and span tables in, spans of raw texts out; the conformance of tunings has
every tuning of a tagger."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import headstart
from headstart.kernel.errors import DataError
from tiny_text_models import save_tiny

PEOPLE, TOWNS, FILLERS = ("Ann", "Bo Lee", "Cy"), ("Rome", "Oslo", "New York"), ("met", "saw", "in", "and", "rain", ".")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny", "bert")


def sentence(draws: np.random.Generator, windows: int) -> list[tuple[str, str]]:
    """Words and their tags."""
    found: list[tuple[str, str]] = []
    for _ in range(windows):
        kind = int(draws.integers(0, 4))
        piece = str(draws.choice((PEOPLE, TOWNS, FILLERS, FILLERS)[kind])).split()
        label = ("per", "loc", "", "")[kind]
        found += [(word, f"{'I' if at else 'B'}-{label}" if label else "O") for at, word in enumerate(piece)]
    return found


def conll(folder: Path, sentences: int, windows: int = 8, seed: int = 0) -> Path:
    draws = np.random.default_rng(seed)
    made = [[("w" + str(k), "O"), *sentence(draws, windows)] for k in range(sentences)]
    path = folder / f"notes-{seed}.conll"
    path.write_text("\n\n".join("\n".join("\t".join(pair) for pair in words) for words in made) + "\n")
    return path


def span_table(folder: Path, sentences: int) -> Path:
    draws = np.random.default_rng(1)
    rows = []
    for number in range(sentences):
        text, spans = f"note {number}:", []
        for word, tag in sentence(draws, 8):
            if tag.startswith("B-"):
                spans.append({"start": len(text) + 1, "end": len(text) + 1 + len(word), "label": tag[2:]})
            elif tag.startswith("I-"):
                spans[-1]["end"] = len(text) + 1 + len(word)
            text += f" {word}"
        rows.append({"text": text, "spans": spans})
    path = folder / "notes.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_a_probe_on_conll_predicts_spans_of_raw_text(tmp_path: Path, model: Path) -> None:
    run = headstart.fit(conll(tmp_path, 120), out=tmp_path / "run", backbone=str(model), scratch=False)
    figures = run.metrics["test"]
    assert set(figures) == {"f1", "precision", "recall", "accuracy"} and figures["f1"]["value"] > 0.3
    assert figures["f1"]["low"] < figures["f1"]["value"] < figures["f1"]["high"]
    fresh = conll(tmp_path, 20, seed=7)
    by_word = run.predict(fresh)["prediction"].tolist()
    texts = [" ".join(line.split("\t")[0] for line in words.splitlines()) for words in fresh.read_text().split("\n\n")]
    assert run.predict(pd.DataFrame({"text": texts}))["prediction"].tolist() == by_word
    spans = [
        (text[span["start"] : span["end"]], span) for text, cell in zip(texts, by_word) for span in json.loads(cell)
    ]
    assert spans and all(surface == surface.strip() and 0 <= span["score"] <= 1 for surface, span in spans)
    assert {span["label"] for _, span in spans} == {"per", "loc"}
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "Each type" in page and "What became of the entities" in page
    rows = pd.read_csv(tmp_path / "run" / "test_predictions.csv")
    assert all(isinstance(json.loads(cell), list) for name in ("truth", "prediction") for cell in rows[name])


def test_training_on_a_span_table_beats_chance_and_is_judged_again(tmp_path: Path, model: Path) -> None:
    settings = {"tuning": {"epochs": 8, "batch_size": 8, "learning_rate": 2e-3, "head_learning_rate": 2e-3}}
    table = span_table(tmp_path, 120)
    run = headstart.fit(
        table,
        text="text",
        label="spans",
        out=tmp_path / "run",
        backbone=str(model),
        tuning="full",
        runner="eager",
        scratch=False,
        label_curve=False,
        settings=settings,
    )
    assert run.metrics["test"]["f1"]["value"] > 0.3
    again = run.evaluate(table)
    assert again.primary_metric == "f1" and again.figures["f1"].value > 0.3
    assert headstart.load(tmp_path / "run").predict(table)["prediction"].notna().all()


def test_long_documents_are_tagged_in_windows_and_whole(tmp_path: Path, model: Path) -> None:
    path = conll(tmp_path, 40, windows=60)
    run = headstart.fit(path, out=tmp_path / "run", backbone=str(model), scratch=False)
    assert run.metrics["test"]["f1"]["n"] == 8
    assert run.metrics["test"]["recall"]["value"] > 0.5
    predicted = run.predict(path)
    words = path.read_text().split("\n\n")[0].splitlines()
    text = " ".join(line.split("\t")[0] for line in words)
    spans = json.loads(predicted["prediction"][0])
    assert len(predicted) == 40 and max(span["end"] for span in spans) > len(text) * 0.8
    assert all(one["end"] <= other["start"] for one, other in pairwise(spans))


def test_long_documents_train_by_steps_too(tmp_path: Path, model: Path) -> None:
    settings = {"tuning": {"epochs": 1}}
    run = headstart.fit(
        conll(tmp_path, 20, windows=60),
        out=tmp_path / "run",
        backbone=str(model),
        tuning="full",
        scratch=False,
        settings=settings,
    )
    assert run.metrics["test"]["accuracy"]["n"] == 4


@pytest.mark.parametrize("tuning", ["full", "lora", "scratch"])
def test_tunings_that_end_differently_tag(tuning: str, tmp_path: Path, model: Path) -> None:
    settings = {"tuning": {"epochs": 1, "rates_tried": [1.0]}}
    path = conll(tmp_path, 40)
    run = headstart.fit(
        path, out=tmp_path / "run", backbone=str(model), tuning=tuning, scratch=False, settings=settings
    )
    assert run.metrics["test"]["accuracy"]["n"] == 8
    assert run.predict(path)["prediction"].notna().all()


def test_a_run_on_classes_is_a_backbone_for_tags(tmp_path: Path, model: Path) -> None:
    frame = pd.DataFrame(
        {"text": [f"note {k} {'good' if k % 2 else 'bad'}" for k in range(60)], "label": ["a", "b"] * 30}
    )
    first = headstart.fit(frame, out=tmp_path / "first", backbone=str(model), scratch=False)
    second = headstart.fit(conll(tmp_path, 60), out=tmp_path / "second", backbone=str(first.folder), scratch=False)
    assert second.metrics["test"]["accuracy"]["value"] > 0.4


def test_a_type_that_the_model_does_not_know_is_named(tmp_path: Path, model: Path) -> None:
    run = headstart.fit(conll(tmp_path, 60), out=tmp_path / "run", backbone=str(model), scratch=False)
    other = tmp_path / "other.conll"
    other.write_text("Ann B-person\n\nrain O\n")
    with pytest.raises(DataError, match=r"other.conll:1: entity type 'person' is not known. Did you mean 'per'\?"):
        run.evaluate(other)


def test_an_empty_text_is_named_and_others_are_predicted(tmp_path: Path, model: Path) -> None:
    run = headstart.fit(conll(tmp_path, 60), out=tmp_path / "run", backbone=str(model), scratch=False)
    frame = run.predict(pd.DataFrame({"text": ["Ann saw Rome", " ", "\u200b"]}))
    assert frame["error"].tolist()[1] == "is empty" and isinstance(frame["prediction"][0], str)
    assert json.loads(frame["prediction"][2]) == [] or frame["error"][2] is not None


def test_augmenting_texts_as_pictures_is_refused_with_the_reason(tmp_path: Path, model: Path) -> None:
    with pytest.raises(ValueError, match="changes image inputs, the data are text"):
        headstart.fit(
            conll(tmp_path, 60), out=tmp_path / "run", backbone=str(model), augmentation="affine", tuning="full"
        )


def test_inspect_counts_the_spans(tmp_path: Path) -> None:
    found = headstart.inspect(conll(tmp_path, 30))
    assert any("labelled spans in 30 texts: loc " in finding.text for finding in found.findings)
