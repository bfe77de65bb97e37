"""What a real fit leaves in its record and beside it; and records of earlier formats stay readable."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import headstart
from headstart.kernel.errors import RunError
from headstart.pipeline.record import FORMAT_NUMBER, RunRecord
from headstart.pipeline.run_folder import read_record

N = 48


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bright and dark noise, each with its camera."""
    folder = tmp_path_factory.mktemp("photos")
    rows = []
    for number in range(N):
        draws = np.random.default_rng(number)
        label = ("bright", "dark")[number % 2]
        level = 150 if label == "bright" else 60
        pixels = draws.integers(level - 40, level + 60, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        part = "train" if number < 24 else "val" if number < 32 else "test"
        rows.append((f"{number}.png", label, part, "xy"[number % 3 == 0]))
    frame = pd.DataFrame(rows, columns=["image", "label", "part", "camera"])
    frame.to_csv(folder / "table.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> headstart.Run:
    return headstart.fit(
        photos / "table.csv",
        out=tmp_path_factory.mktemp("runs") / "photos",
        slices="camera",
        backbone="test_resnet",
        weights="random",
        tuning="full",
        seed=3,
        settings={
            "backbone": {"image_size": 32},
            "tuning": {"epochs": 2, "learning_rate": 1e-3, "rates_tried": [0.5]},
            "scratch": {"epochs": 1, "rates_tried": [1.0]},
        },
    )


@pytest.mark.slow
def test_the_record_on_disk_is_the_record(run: headstart.Run) -> None:
    assert read_record(run.folder) == run.record
    json.loads((run.folder / "record.json").read_text(), parse_constant=pytest.fail)


def test_it_says_what_was_done(run: headstart.Run) -> None:
    record = run.record
    assert record.name == "photos" and record.seed == 3 and record.headstart == headstart.__version__
    assert record.task == "classification" and record.primary_metric == "accuracy"
    assert record.backbone == "test_resnet" and record.backbone_origin == "random"
    assert record.backbone_licence == "none (no pretrained weights)"
    assert record.metrics["accuracy"].greater_is_better and not record.metrics["log_loss"].greater_is_better
    assert {part.name: part.examples for part in record.data.parts} == {"train": 24, "val": 8, "test": 16}
    assert record.decisions[0].what == "task" and record.decisions[0].reason
    assert record.versions["torch"] and record.machine and record.started.endswith("+00:00")


def test_arms_come_with_their_figures_and_their_training(run: headstart.Run) -> None:
    arms = run.record.arms
    assert list(arms) == ["model", "probe", "scratch", "classical", "constant"]
    assert [len(arm.history) for arm in arms.values()] == [2, 0, 1, 0, 0]
    assert [epoch.epoch for epoch in arms["model"].history] == [1, 2]
    assert arms["model"].stopped == "all 2 epochs done" and arms["probe"].stopped == ""
    assert arms["model"].chosen["learning_rate"] == pytest.approx(5e-4)
    assert "C" in arms["probe"].chosen and "temperature" in arms["model"].chosen
    assert all(arm.figures["accuracy"].n == 16 for arm in arms.values())
    assert {comparison.against for comparison in run.record.comparisons} == arms.keys() - {"model"}


def test_stages_say_what_moved(run: headstart.Run) -> None:
    stages = run.record.stages
    module = run.model.backbone.module
    assert sum(stage.parameters for stage in stages) == sum(p.numel() for p in module.parameters())
    assert {stage.state for stage in stages} == {"trained"}
    assert {stage.learning_rate for stage in stages} == {run.record.arms["model"].chosen["learning_rate"]}


def test_time_and_the_frozen_pass_are_accounted_for(run: headstart.Run) -> None:
    assert next(iter(run.record.times)) == "reading and splitting the data"
    assert all(seconds >= 0 for seconds in run.record.times.values())
    assert run.record.frozen_pass.computed + run.record.frozen_pass.reused == N
    assert run.record.test_reads == 1


def test_the_command_repeats_the_run(run: headstart.Run) -> None:
    assert shlex.split(run.record.command) == ["headstart", "fit", str(run.folder / "plan.toml")]


def test_a_command_line_is_recorded_as_it_was_given(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["/usr/bin/headstart", "fit", "my photos", "--seed", "3"]
    monkeypatch.setattr(sys, "argv", arguments)
    settings = {"backbone": {"image_size": 32}}
    record = headstart.fit(
        photos / "table.csv", out=tmp_path / "r", backbone="test_resnet", weights="random", scratch=False,
        settings=settings,
    ).record  # fmt: skip
    assert shlex.split(record.command) == ["headstart", *arguments[1:]]
    assert {stage.state for stage in record.stages} == {"frozen"}
    assert {stage.learning_rate for stage in record.stages} == {0.0}


def test_split_csv_says_where_each_example_went(run: headstart.Run, photos: Path) -> None:
    split = pd.read_csv(run.folder / "split.csv")
    assert list(split.columns) == ["origin", "key", "part"] and len(split) == N
    given = pd.read_csv(photos / "table.csv")["part"]
    assert sorted(split["part"]) == sorted(given)
    assert split["key"].is_unique


def test_test_predictions_agree_with_the_figures(run: headstart.Run) -> None:
    rows = pd.read_csv(run.folder / "test_predictions.csv")
    assert len(rows) == 16 and list(rows.columns) == [
        "origin",
        "truth",
        "prediction",
        "confidence",
        "p_bright",
        "p_dark",
    ]
    accuracy = float((rows["truth"] == rows["prediction"]).mean())
    assert accuracy == pytest.approx(run.record.arms["model"].figures["accuracy"].value)
    np.testing.assert_allclose(rows["p_bright"] + rows["p_dark"], 1.0)


@pytest.mark.slow
def test_of_very_many_classes_the_probabilities_of_the_test_part_are_left_out(tmp_path: Path) -> None:
    classes, held = 500, 4100
    draws = np.random.default_rng(0)
    labels = np.concatenate([np.repeat(np.arange(classes), 3), np.arange(held) % classes])
    frame = pd.DataFrame(draws.normal(size=(classes, 8))[labels] + draws.normal(size=(len(labels), 8)))
    frame["label"] = [f"class {k}" for k in labels]
    frame["part"] = ["train"] * (len(labels) - held) + ["test"] * held
    given: dict[str, Any] = {"part": "part", "tuning": "probe", "scratch": False, "label_curve": False}
    run = headstart.fit(frame, out=tmp_path / "run", **given)
    rows = pd.read_csv(run.folder / "test_predictions.csv")
    assert list(rows.columns) == ["origin", "truth", "prediction", "confidence"] and len(rows) == held
    assert 0 <= run.record.arms["model"].figures["roc_auc"].value <= 1
    assert f"p_class {classes - 1}" in headstart.predict(run, frame.iloc[:3])


FIGURE = {"value": 0.9, "low": 0.8, "high": 0.95, "n": 50}
FORMAT_1: dict[str, Any] = {
    "format": 1,
    "headstart": "0.1.0",
    "name": "photos",
    "verdict": "Accuracy 90.0 % (80.0–95.0) on 50 unseen examples.",
    "negative_transfer": False,
    "command": "headstart fit photos/",
    "started": "2026-11-21T14:03:22+00:00",
    "seed": 0,
    "task": "classification",
    "primary_metric": "accuracy",
    "metrics": {"accuracy": {"title": "Accuracy", "unit": "share", "greater_is_better": True}},
    "data": {
        "source": "photos/",
        "seen": "2 class folders with 300 images",
        "modality": "image",
        "parts": [{"name": "train", "examples": 200, "groups": None, "classes": {"ants": 100, "bees": 100}}],
        "unreadable": [{"origin": "ants/1.jpg", "reason": "is empty (0 bytes)"}],
        "duplicates": 2,
        "leaks": [],
        "notes": ["5 files other than images left out"],
    },
    "backbone": "resnet18",
    "backbone_origin": "timm hub, tag a1_in1k",
    "stages": [{"name": "stem", "parameters": 9536, "state": "frozen", "learning_rate": 0.0}],
    "decisions": [{"what": "task", "value": "classification", "reason": "the labels are texts"}],
    "arms": {
        "model": {
            "title": "linear probe on resnet18",
            "figures": {"accuracy": FIGURE},
            "history": [
                {
                    "epoch": 1,
                    "train_loss": 0.6,
                    "val_loss": 0.5,
                    "val_metric": 0.8,
                    "learning_rate": 0.001,
                    "seconds": 1.5,
                }
            ],
            "seconds": 3.0,
            "chosen": {"C": 0.1, "temperature": 1.2},
            "stopped": "",
        }
    },
    "comparisons": [{"against": "scratch", "metric": "accuracy", "difference": FIGURE, "verdict": "better"}],
    "slices": [{"column": "camera", "value": "phone", "n": 20, "figures": {"accuracy": FIGURE}}],
    "worst_slice": "camera = phone",
    "exhibits": [
        {"kind": "matrix", "title": "Confusions", "note": "", "names": ["ants", "bees"], "counts": [[20, 5], [0, 25]]},
        {
            "kind": "reliability",
            "title": "Reliability",
            "note": "",
            "bins": [{"confidence": 0.9, "accuracy": 0.8, "n": 50}],
        },
        {"kind": "table", "title": "Each class", "note": "", "header": ["class", "f1"], "rows": [["ants", None]]},
        {
            "kind": "scatter",
            "title": "Predicted against true",
            "note": "",
            "x_label": "true",
            "y_label": "predicted",
            "x": [1.0],
            "y": [2.0],
        },
    ],
    "mistakes": [
        {
            "row": 3,
            "truth": "ants",
            "predicted": "bees",
            "weight": 0.97,
            "weight_text": "97 % sure",
            "origin": "ants/3.jpg",
            "text": "",
            "thumbnail": "",
        }
    ],
    "frozen_pass": {"computed": 300, "reused": 0, "seconds": {"prepare": 1.0, "runner": 2.0, "store": 0.1}},
    "times": {"the probe": 1.5},
    "versions": {"torch": "2.9.0"},
    "machine": {"processor": "2 cores"},
    "test_reads": 2,
}
"""record.json as the first Headstart wrote it. Do not edit it to make a test pass: somebody's runs look like this."""


def write(folder: Path, content: Any) -> Path:
    (folder / "record.json").write_text(json.dumps(content))
    return folder


def kept(now: Any, once: Any) -> Any:
    """What a record says now of what it said once; later fields are left out."""
    if isinstance(once, dict):
        return {key: kept(now[key], value) for key, value in once.items()}
    return [kept(*pair) for pair in zip(now, once, strict=True)] if isinstance(once, list) else now


def test_a_record_of_format_1_stays_readable_and_loses_nothing(tmp_path: Path) -> None:
    record = read_record(write(tmp_path, FORMAT_1))
    renamed = {{"exhibits": "panels"}.get(name, name): value for name, value in FORMAT_1.items()}
    assert kept(record.model_dump(mode="json"), renamed) == renamed
    assert "<html" in headstart.report(tmp_path).read_text(encoding="utf-8")


def test_the_least_record_of_format_1_stays_readable(tmp_path: Path) -> None:
    needed = [name for name, field in RunRecord.model_fields.items() if field.is_required()]
    record = read_record(write(tmp_path, {"format": 1, **{name: FORMAT_1[name] for name in needed}}))
    assert record.test_reads == 1 and record.panels == ()


def test_a_newer_record_says_what_to_install(tmp_path: Path) -> None:
    newer = {"format": FORMAT_NUMBER + 1, "headstart": "9.0", "what": "is new"}
    with pytest.raises(RunError, match=r"by Headstart 9\.0 in format .* Install Headstart 9\.0 or newer"):
        read_record(write(tmp_path, newer))
