"""Runs that Headstart 0.1 wrote before its parts were moved: they load, predict, report and serve as backbones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from small_data import own_copy

import headstart

OLD = Path(__file__).parent / "old_runs"
DATA = {
    "image-probe": OLD / "data" / "photos",
    "text-full": OLD / "data" / "reviews.csv",
    "segmentation": OLD / "data" / "cells",
}
UNCHANGED = 1e-5
"""How far a probability may lie from the one of another processor: float32 sums in another order."""


@pytest.mark.parametrize("name", DATA)
def test_an_old_run_predicts_what_it_predicted(name: str, tmp_path: Path) -> None:
    data = DATA[name] / "images" if name == "segmentation" else DATA[name]
    headstart.load(OLD / name).predict(data, out=tmp_path / f"{name}-predicted.csv")
    found = pd.read_csv(tmp_path / f"{name}-predicted.csv")
    expected = pd.read_csv(OLD / f"{name}-predicted.csv")
    pd.testing.assert_frame_equal(found[list(expected)], expected, atol=UNCHANGED, rtol=0)
    for path in sorted((OLD / f"{name}-predicted").glob("*.png")):
        assert np.array_equal(Image.open(path), Image.open(tmp_path / f"{name}-predicted" / path.name)), path.name


@pytest.mark.parametrize("name", DATA)
def test_an_old_run_writes_its_report_again(name: str, tmp_path: Path) -> None:
    run = own_copy(OLD / name, tmp_path / name)
    headstart.report(run)
    page = (run / "report.html").read_text()
    record = headstart.load(run).record
    assert record.verdict.split(":")[0] in page
    assert record.title(record.primary_metric) in page


@pytest.mark.parametrize("name", DATA)
def test_an_old_run_is_a_backbone(name: str, tmp_path: Path) -> None:
    columns = {"text": "review", "label": "mood"} if name == "text-full" else {}
    run = headstart.fit(DATA[name], backbone=str(OLD / name), scratch=False, out=tmp_path / "new", **columns)
    assert run.metrics["test"]
