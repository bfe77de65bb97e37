"""Results for people: complete, in order, and within 80 columns."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from headstart.cli.printing import (
    frame_document,
    print_evaluation,
    print_fit,
    print_frame,
    print_inspection,
    print_predicted,
)
from headstart.pipeline.inspection import Finding, Inspection
from headstart.pipeline.record import Arm, Comparison, DataIssue, DataSummary, FigureRow, RunRecord, SliceRow
from headstart.verbs.evaluate import Evaluation
from headstart.verbs.predict import PredictionSummary
from metric_infos import metric_infos


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def figure(value: float, low: float, high: float) -> FigureRow:
    return FigureRow(value=value, low=low, high=high, n=153)


SLICES = tuple(SliceRow(column="site", value=v, n=9, figures={"accuracy": figure(0.5, 0.2, 0.8)}) for v in ("a", "b"))


def finished_run(**changes: object) -> SimpleNamespace:
    figures = {"accuracy": figure(0.912, 0.884, 0.936), "log_loss": figure(0.312, 0.25, 0.39)}
    weaker = {"accuracy": figure(0.701, 0.655, 0.745), "log_loss": figure(0.9, 0.8, 1.1)}
    record = RunRecord(
        headstart="0.1.0",
        name="photos",
        verdict="Transfer helps: accuracy 91.2 % on 153 unseen examples.",
        command="headstart fit photos/",
        started="2026-11-21T10:00:00+00:00",
        seed=0,
        task="classification",
        primary_metric="accuracy",
        metrics=metric_infos("log_loss", "accuracy"),
        data=DataSummary(
            source="photos/",
            seen="2 class folders",
            modality="image",
            parts=(),
            unreadable=tuple(DataIssue(origin=f"photos/{i}.jpg", reason="is empty (0 bytes)") for i in range(7)),
        ),
        backbone="mobilenetv2_100",
        backbone_origin="hub",
        backbone_licence="mit",
        stages=(),
        decisions=(),
        arms={
            "model": Arm(title="linear probe on mobilenetv2_100", figures=figures, seconds=3.0),
            "scratch": Arm(title="mobilenetv2_100 from scratch", figures=weaker, seconds=60.0),
        },
        comparisons=(
            Comparison(against="scratch", metric="accuracy", difference=figure(0.211, 0.15, 0.27), verdict="better"),
        ),
    )
    return SimpleNamespace(
        record=record.model_copy(update=changes),
        folder=Path("runs/photos"),
        tuned=None,
        report=Path("runs") / "a folder with a long name [and brackets] that goes past eighty columns" / "report.html",
    )


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_fit_starts_with_the_verdict_and_ends_with_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    run = finished_run()
    print_fit(run)
    printed = lines(capsys)
    assert printed[0] == "Transfer helps: accuracy 91.2 % on 153 unseen examples."
    assert printed[-1] == f"Report: {run.report}"
    assert printed[-2] == "Run:    runs/photos"
    assert printed[-3] == "Licence of the pretrained weights: mit"
    assert all(len(line) <= 80 for line in printed[:-1])


def test_fit_shows_every_figure_of_every_arm_the_primary_metric_first(capsys: pytest.CaptureFixture[str]) -> None:
    print_fit(finished_run())
    rows = [line.split() for line in lines(capsys)[3:7]]
    assert rows == [
        "Accuracy 91.2 % 88.4–93.6 linear probe on mobilenetv2_100".split(),
        "70.1 % 65.5–74.5 mobilenetv2_100 from scratch".split(),
        "Log loss 0.312 0.250–0.390 linear probe on mobilenetv2_100".split(),
        "0.900 0.800–1.100 mobilenetv2_100 from scratch".split(),
    ]


def test_fit_shows_the_comparison_and_the_first_unreadable_files(capsys: pytest.CaptureFixture[str]) -> None:
    print_fit(finished_run())
    printed = " ".join(lines(capsys))
    assert "Accuracy against mobilenetv2_100 from scratch: +21.1 points (+15.0 to +27.0), better" in printed
    assert "- photos/0.jpg is empty (0 bytes)" in printed
    assert "photos/5.jpg" not in printed
    assert "and 2 more" in printed


def test_fit_names_the_worst_slice(capsys: pytest.CaptureFixture[str]) -> None:
    print_fit(finished_run(slices=SLICES, worst_slice="site = b"))
    printed = lines(capsys)
    assert "Worst: site = b" in printed
    assert ["site", "=", "a", "50.0", "%", "20.0–80.0", "9"] in [line.split() for line in printed]


def test_nothing_is_coloured_when_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    print_fit(finished_run(negative_transfer=True))
    assert "\x1b" not in capsys.readouterr().out


def test_evaluation(capsys: pytest.CaptureFixture[str]) -> None:
    evaluation = Evaluation(
        data="more/",
        n=1200,
        metrics=metric_infos("log_loss", "accuracy"),
        primary_metric="accuracy",
        figures={"log_loss": figure(0.312, 0.25, 0.39), "accuracy": figure(0.912, 0.884, 0.936)},
        slices=SLICES,
        worst_slice="site = a",
        unreadable=(DataIssue(origin="x.jpg", reason="is missing"),),
        test_reads=2,
        notes=("The test part has now been read 2 times.",),
    )
    print_evaluation(evaluation)
    printed = lines(capsys)
    assert printed[0].split() == "on 1,200 examples value 95 % interval".split()
    assert printed[1].split() == "Accuracy 91.2 % 88.4–93.6".split()
    assert "- The test part has now been read 2 times." in printed
    assert "- x.jpg is missing" in printed
    assert "Worst: site = a" in printed


def inspection(*findings: Finding) -> Inspection:
    return Inspection(source="photos/", seen="2 class folders", modality="image", examples=40, findings=findings)


def test_inspection_prints_what_the_data_are_and_its_findings(capsys: pytest.CaptureFixture[str]) -> None:
    long = "3 files lie in train and in test, such as [a.jpg], " + "and their figures would be too good " * 3
    print_inspection(inspection(Finding(severity="warning", text=long), Finding(severity="note", text="40 examples")))
    printed = lines(capsys)
    assert printed[0] == "photos/: 2 class folders"
    assert printed[1].startswith("warning:  3 files lie in train and in test, such as [a.jpg]")
    assert printed[2].startswith("          ")
    assert printed[-1] == "note:     40 examples"


def test_inspection_without_faults_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_inspection(inspection(Finding(severity="note", text="40 examples")))
    assert lines(capsys)[-1] == "No problems found."


def test_predictions_to_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    print_predicted(PredictionSummary(rows=1200, failed=0, out="p.csv"))
    print_predicted(PredictionSummary(rows=3, failed=2, out="p.csv"))
    whole, partial = lines(capsys)
    assert whole == "1,200 predictions in p.csv"
    assert "2 could not be predicted" in partial


def test_predictions_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.DataFrame({"origin": ["a", "b"], "score": np.array([0.5, np.nan]), "n": np.array([1, 2])})
    print_frame(frame)
    assert capsys.readouterr().out == "origin,score,n\na,0.5,1\nb,,2\n"
    document = frame_document(frame)
    assert document == {
        "rows": 2,
        "predictions": [{"origin": "a", "score": 0.5, "n": 1}, {"origin": "b", "score": None, "n": 2}],
    }
    json.dumps(document)
