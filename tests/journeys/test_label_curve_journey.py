"""The label curve of a fit: on the terminal, in metrics.json and in the report; and where there is none."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conftest import Command
from headstart.pipeline.run_folder import read_record

TWICE = re.compile(r"With twice the labels \((?P<twice>[\d,]+)\), expect (?P<metric>[\w ²]+?) (?P<value>[\d.]+)")


def rows(count: int, kind: str) -> pd.DataFrame:
    """Numbers of which four tell the target, with noise: a class of two, a quantity, or a set of labels."""
    draws = np.random.default_rng(0)
    x = draws.normal(size=(count, 6))
    score = x[:, :4] @ [1.0, -1.0, 0.5, 0.5] + draws.normal(size=count)
    target: Any = score if kind == "number" else np.where(score > 0, "yes", "no")
    if kind == "labels":
        target = [
            ";".join(n for n, on in (("a", s > 0), ("b", s < 1), ("c", t > 0)) if on) for s, t in zip(score, x[:, 0])
        ]
    return pd.DataFrame({**{f"n{k}": x[:, k] for k in range(6)}, "target": target})


def fitted(command: Command, frame: pd.DataFrame, *options: object) -> tuple[str, dict[str, Any]]:
    frame.to_csv("rows.csv", index=False)
    ended = command("fit", "rows.csv", "--label", "target", "--no-scratch", "--out", "run", *options)
    assert ended.code == 0, ended.err
    return " ".join(ended.out.split()), json.loads(Path("run/metrics.json").read_text())


@pytest.mark.parametrize(
    ("kind", "options", "metric"),
    [("class", (), "Accuracy"), ("number", (), "R²"), ("labels", ("--task", "multilabel"), "Mean average precision")],
)
def test_a_fit_says_what_twice_the_labels_would_bring(
    headstart_command: Command, kind: str, options: tuple[str, ...], metric: str
) -> None:
    out, metrics = fitted(headstart_command, rows(300, kind), *options)
    said = TWICE.search(out)
    assert said is not None, out
    curve = metrics["label_curve"]
    twice = next(point for point in curve["expected"] if point["labels"] == 2 * curve["labelled"])
    assert said["metric"] == metric
    assert int(said["twice"].replace(",", "")) == 2 * curve["labelled"]
    scale = 100 if kind == "class" else 1
    assert float(said["value"]) == pytest.approx(scale * twice["value"], rel=0.01)
    assert twice["low"] < twice["value"] < twice["high"]
    assert len(curve["measured"]) >= 3
    parts = {part.name: part.examples for part in read_record(Path("run")).data.parts}
    assert curve["labelled"] == parts["train"] + parts["val"]
    (gain,) = curve["gains"]
    assert gain["against"] == "classical"
    assert gain["sentence"] in out
    report = Path("run/report.html").read_text()
    assert "With twice the labels" in report
    assert "<desc>Probes measured on" in report


def test_few_labels_have_no_curve_and_the_fit_says_so(headstart_command: Command) -> None:
    out, metrics = fitted(headstart_command, rows(60, "class"))
    assert re.search(r"No label curve: \d+ labelled examples are too few", out)
    assert metrics["label_curve"]["expected"] == []


def test_a_curve_is_left_out_where_it_is_not_wanted(headstart_command: Command) -> None:
    out, metrics = fitted(headstart_command, rows(400, "class"), "--no-label-curve")
    assert "twice the labels" not in out
    assert "label_curve" not in metrics
