"""Predictions that say what they do not know: sets and intervals with a chance, and inputs unlike the training data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import headstart
from conftest import Command

ROWS = 400


def table(rows: int, seed: int, shift: float = 0.0) -> pd.DataFrame:
    draws = np.random.default_rng(seed)
    found = pd.DataFrame(draws.normal(size=(rows, 3)) + shift, columns=["a", "b", "c"])
    noise = draws.normal(0, 1, rows)
    kinds = np.array(["low", "middle", "high"])[np.digitize(found["a"] + noise, [-0.6, 0.6])]
    return found.assign(y=(found["a"] + 2 * found["b"] + noise).round(6), kind=kinds, patient=np.arange(rows) // 2)


def fitted(folder: Path, target: str, **options: object) -> Path:
    other = {"y": "kind", "kind": "y"}[target]
    table(ROWS, 0).drop(columns=[other]).to_csv(folder / "data.csv", index=False)
    columns = {"label": target, "group": "patient"}
    return headstart.fit(folder / "data.csv", out=folder / "run", scratch=False, **columns, **options).folder


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fitted(tmp_path_factory.mktemp("kinds"), "kind")


def test_sets_hold_the_truth_as_often_as_was_asked_for(kinds: Path, headstart_command: Command) -> None:
    new = table(2000, 1)
    new.drop(columns=["kind", "y"]).to_csv("new.csv", index=False)
    ended = headstart_command("predict", kinds, "new.csv", "--coverage", "0.9", "--out", "found.csv")
    assert not ended.code and "At --coverage 0.9 the truth of" in ended.err and "test examples is covered" in ended.err
    found = pd.read_csv("found.csv")
    sets = found["set"].map(json.loads)
    assert all(row[0] == prediction for row, prediction in zip(sets, found["prediction"]))
    assert (sets.map(len) == found["set size"]).all() and 1 < found["set size"].mean() < 3
    held = np.mean([truth in row for truth, row in zip(new["kind"], sets)])
    assert 0.86 <= held <= 0.96, held
    reads = headstart.load(kinds).record.test_reads
    wider = headstart.predict(kinds, "new.csv", coverage=0.97)
    assert wider["set size"].mean() > found["set size"].mean()
    assert headstart.load(kinds).record.test_reads == reads  # what was measured once is kept


def test_intervals_of_numbers_hold_the_truth(tmp_path: Path) -> None:
    run = fitted(tmp_path, "y", settings={"tuning": {"refit": False}})
    new = table(2000, 1)
    found = headstart.predict(run, new.drop(columns=["kind", "y"]), coverage=0.9)
    held = ((found["low"] <= new["y"]) & (new["y"] <= found["high"])).mean()
    assert 0.86 <= held <= 0.96 and np.allclose(found["low"] + found["high"], 2 * found["prediction"])


def test_inputs_unlike_the_training_data_are_told(kinds: Path, headstart_command: Command) -> None:
    assert headstart.predict(kinds, table(200, 2).drop(columns=["kind", "y"]))["unlike"].mean() < 0.08
    odd = table(40, 3, shift=9.0)
    odd.to_csv("odd.csv", index=False)
    ended = headstart_command("predict", kinds, "odd.csv", "--out", "found.csv")
    assert pd.read_csv("found.csv")["unlike"].mean() > 0.9 and "inputs are unlike the training data" in ended.err
    ended = headstart_command("evaluate", kinds, "odd.csv")
    assert not ended.code and "40 of 40 inputs are unlike the training data" in ended.out


@pytest.mark.parametrize(
    ("flags", "words"),
    [(("--coverage", "1.5"), "between 0 and 1"), (("--coverage", "0.999"), "needs 999 of them at least")],
)
def test_a_coverage_that_cannot_be_is_refused(
    flags: tuple[str, ...], words: str, kinds: Path, headstart_command: Command
) -> None:
    table(5, 1).to_csv("new.csv", index=False)
    ended = headstart_command("predict", kinds, "new.csv", *flags)
    assert ended.code in (2, 3) and words in ended.err


def test_a_task_without_sets_is_named(headstart_command: Command) -> None:
    run = Path(__file__).parent / "old_runs" / "segmentation"
    ended = headstart_command(
        "predict", run, run.parent / "data" / "cells" / "images", "--coverage", "0.9", "--out", "o.csv"
    )
    assert ended.code == 2 and "the task 'segmentation' has no sets or intervals" in ended.err
