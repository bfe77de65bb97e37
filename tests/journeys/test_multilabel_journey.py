"""Multi-label classification, as users go: label sets in cells and columns, figures per label, prediction; mistakes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import headstart
from headstart.kernel.errors import DataError

Command = Callable[..., Any]
LABELS = ("cold", "late", "rude")


def complaints(rows: int = 120, seed: int = 0) -> pd.DataFrame:
    """Texts with a word for each of their labels; some have none."""
    draws = np.random.default_rng(seed)
    held = draws.random((rows, 3)) < [0.5, 0.3, 0.2]
    words = ["the meal was cold", "it came late", "the waiter was rude"]
    texts = [" and ".join([f"table {row}", *(w for w, one in zip(words, has) if one)]) for row, has in enumerate(held)]
    sets = ["|".join(name for name, one in zip(LABELS, has) if one) for has in held]
    return pd.DataFrame({"text": texts, "labels": sets})


@pytest.fixture(scope="module")
def complaints_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "complaints.csv"
    complaints().to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def complaint_run(complaints_csv: Path, bert: Path, tmp_path_factory: pytest.TempPathFactory) -> headstart.Run:
    out = tmp_path_factory.mktemp("runs") / "complaints"
    return headstart.fit(complaints_csv, backbone=str(bert), scratch=False, out=out)


def test_separated_labels_are_recognised_and_judged_per_label(
    here: Path, complaints_csv: Path, bert: Path, headstart_command: Command
) -> None:
    ended = headstart_command("fit", complaints_csv, "--backbone", bert, "--no-scratch", "--out", "run")
    assert ended.code == 0, ended.err
    words = " ".join(ended.out.split())
    assert "Mean average precision" in words and "Average precision (rude)" in words
    document = json.loads(Path("run/metrics.json").read_text())["test"]
    assert set(document) == {
        "mean_average_precision",
        "micro_f1",
        "macro_f1",
        *(f"average_precision_{name}" for name in LABELS),
    }
    for figure in document.values():
        known = figure["low"] is not None and figure["low"] <= figure["value"] <= figure["high"]
        assert known != figure.get("reason", "").startswith("too few examples of")


def test_the_record_names_task_thresholds_and_every_label(complaint_run: headstart.Run) -> None:
    record = complaint_run.record
    assert record.task == "multilabel" and record.primary_metric == "mean_average_precision"
    assert {f"threshold {name}" for name in LABELS} <= record.arms["model"].chosen.keys()
    assert set(complaint_run.model.calibration) == {f"threshold {name}" for name in LABELS}
    table = record.panels[0]
    assert table.kind == "table" and [row[0] for row in table.rows] == list(LABELS)
    assert {name for part in record.data.parts for name in part.classes} == set(LABELS)
    assert "Each label" in complaint_run.report.read_text(encoding="utf-8")


def test_every_part_has_every_label_in_proportion(complaint_run: headstart.Run) -> None:
    for part in complaint_run.record.data.parts:
        for name, share in zip(LABELS, (0.5, 0.3, 0.2)):
            assert part.classes[name] / part.examples == pytest.approx(share, abs=0.13), (part.name, name)


def test_predictions_hold_the_labels_and_their_scores(
    here: Path, complaint_run: headstart.Run, headstart_command: Command
) -> None:
    complaints(20, seed=5)[["text"]].to_csv("new.csv", index=False)
    ended = headstart_command("predict", complaint_run.folder, "new.csv", "--out", "found.csv")
    assert ended.code == 0, ended.err
    found = pd.read_csv("found.csv", keep_default_na=False)
    assert list(found) == ["origin", "text", "prediction", "p_cold", "p_late", "p_rude", "error"]
    calibration = complaint_run.model.calibration
    for _, row in found.iterrows():
        taken = [name for name in LABELS if float(row[f"p_{name}"]) >= calibration[f"threshold {name}"]]
        assert row["prediction"] == "|".join(taken)


@pytest.mark.parametrize("form", ["lists", "columns"])
def test_lists_and_columns_of_0_and_1_give_the_same_run(
    form: str, complaint_run: headstart.Run, bert: Path, here: Path, headstart_command: Command
) -> None:
    frame = complaints()
    sets = [cell.split("|") if cell else [] for cell in frame["labels"]]
    flags: tuple[str, ...] = ("--label", "labels")
    if form == "lists":
        frame.assign(labels=sets).to_json("data.jsonl", orient="records", lines=True)
        source = "data.jsonl"
    else:
        columns = {name: [int(name in some) for some in sets] for name in LABELS}
        frame[["text"]].assign(**columns).to_csv("data.csv", index=False)
        source, flags = "data.csv", tuple(part for name in LABELS for part in ("--label", name))
    ended = headstart_command("fit", source, *flags, "--backbone", bert, "--no-scratch", "--out", "run")
    assert ended.code == 0, ended.err
    run = headstart.load("run")
    assert run.metrics == complaint_run.metrics
    assert run.evaluate(source).figures["micro_f1"].value > 0
    assert headstart.fit("run/plan.toml", out="again").metrics == run.metrics


def test_training_by_steps_and_evaluation_elsewhere(complaints_csv: Path, bert: Path, here: Path) -> None:
    settings = {"tuning": {"epochs": 8, "learning_rate": 1e-3, "head_learning_rate": 1e-2}}
    run = headstart.fit(
        complaints_csv, backbone=str(bert), tuning="full", settings=settings, scratch=False, out=here / "run"
    )
    assert run.record.arms["model"].history
    found = run.evaluate(complaints(60, seed=8))
    assert found.primary_metric == "mean_average_precision" and found.figures["mean_average_precision"].n == 60


def test_inspect_counts_labels_of_lists(here: Path, headstart_command: Command) -> None:
    frame = complaints()
    frame.assign(labels=[cell.split("|") if cell else [] for cell in frame["labels"]]).to_json(
        "data.jsonl", orient="records", lines=True
    )
    ended = headstart_command("inspect", "data.jsonl", "--json")
    assert ended.code == 0, ended.err
    assert set(json.loads(ended.out)["classes"]) == set(LABELS)


def test_a_run_of_label_sets_goes_on_with_new_labels(complaint_run: headstart.Run, here: Path) -> None:
    more = complaints(80, seed=9)
    more["text"] += " again"
    more["labels"] = [f"{cell}|loud".strip("|") if row % 3 == 0 else cell for row, cell in enumerate(more["labels"])]
    more.loc[::3, "text"] += " with noise"
    run = headstart.fit(more, from_run=complaint_run, tuning="head_only", scratch=False, out=here / "run")
    assert run.model.task.classes == (*LABELS, "loud")  # type: ignore[attr-defined]
    found = run.record.forgetting
    assert found is not None and found.examples and found.metric == "mean_average_precision"
    assert found.before.keys() < found.after.keys()


# --- mistakes ---


def test_a_label_that_the_run_never_saw_is_named(complaint_run: headstart.Run) -> None:
    strange = complaints(10).assign(labels=["cold|loud", *complaints(10)["labels"][1:]])
    with pytest.raises(DataError, match="label 'loud' is not known"):
        complaint_run.evaluate(strange)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["cold|late"] * 30, "have the same labels"),
        ([[]] * 30, "label"),
        ([["cold"], None] * 15, "have no label"),
    ],
)
def test_labels_that_cannot_serve(labels: list[Any], message: str) -> None:
    frame = pd.DataFrame({"text": [f"a text of number {row}" for row in range(30)], "labels": labels})
    with pytest.raises(DataError, match=message):
        headstart.fit(frame, task="multilabel")


def test_a_column_of_labels_with_another_number(here: Path) -> None:
    frame = pd.DataFrame({"text": [f"a text of number {row}" for row in range(30)], "a": [0, 1, 2] * 10, "b": 1})
    with pytest.raises(DataError, match="'a': 2 is neither 0 nor 1"):
        headstart.fit(frame, label=["a", "b"])
