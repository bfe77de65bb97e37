"""A rare class, from fit to report: no interval where it decides, and a headline that a constant answer reaches."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import headstart

Command = Callable[..., Any]

WHY = "too few examples of 'spam': 2"


@pytest.fixture(scope="module")
def rare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Numbers that say nothing of the class: 196 ham and 4 spam, half of each for the test."""
    draws = np.random.default_rng(0)
    frame = pd.DataFrame(draws.normal(size=(200, 3)), columns=["a", "b", "c"])
    frame["label"] = np.where(np.arange(200) % 50 < 1, "spam", "ham")
    frame["part"] = np.where(np.arange(200) % 100 < 50, "train", "test")
    frame.to_csv(tmp_path_factory.mktemp("rare") / "mail.csv", index=False)
    return tmp_path_factory.getbasetemp() / "rare0" / "mail.csv"


def test_a_rare_class_is_told_from_the_record_to_the_report(rare: Path, here: Path, headstart_command: Command) -> None:
    run = headstart.fit(rare, label="label", scratch=False, out=here / "run")
    found = run.record.arms["model"].figures
    assert found["roc_auc"].reason == WHY and math.isnan(found["roc_auc"].low)
    assert "which equals always answering 'ham'" in run.record.verdict
    assert json.loads((run.folder / "metrics.json").read_text())["test"]["balanced_accuracy"]["low"] is None
    page = run.report.read_text().replace("&#39;", "'")
    assert WHY in page and "equals always answering 'ham'" in page and ", no interval" not in page
    told = headstart_command("evaluate", run.folder, rare)
    words = " ".join(told.out.split())
    assert "too few examples of 'spam': 4" in words and "Accuracy 98.0 % equals always answering 'ham'" in words


def test_seeds_of_a_rare_class_have_no_interval_either(rare: Path, here: Path, headstart_command: Command) -> None:
    told = headstart_command("fit", rare, "--label", "label", "--no-scratch", "--seeds", "2", "--out", here / "seeds")
    words = " ".join(told.out.split())
    assert "too few examples of" in words and "'spam': 2" in words and "which equals always answering 'ham'" in words
