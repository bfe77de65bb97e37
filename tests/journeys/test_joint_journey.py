"""Several label columns, each a task of its own: fit, predict, evaluate and report, with labels missing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_data import photo_folder

import headstart
from headstart.contracts.panels import Picture
from headstart.engine.frozen.infer import Predictor
from headstart.kernel.errors import DataError, HeadstartError, SettingsError
from headstart.tasks.joint.task import WindowedJoint
from masked_pictures import save_pairs
from tagged_texts import examples_of, span, tagged_texts
from tiny_text_models import save_tiny

NAMES = ["kind", "size", "marks"]
QUICK: dict[str, Any] = {"label": NAMES, "scratch": False, "label_curve": False}


def frame(rows: int = 160, seed: int = 0) -> pd.DataFrame:
    """Two numbers that tell a class, a quantity and a set of marks; a third lacks each of the first two."""
    draws = np.random.default_rng(seed)
    first, second = draws.normal(size=(2, rows))
    kind = np.where(first > 0, "warm", "cold").astype(object)
    size = 10 * second + draws.normal(size=rows)
    kind[draws.random(rows) < 1 / 3], size[draws.random(rows) < 1 / 3] = None, np.nan
    marks = [[name for name, has in (("up", a > 0), ("far", b > 1)) if has] for a, b in zip(first + second, second)]
    return pd.DataFrame({"first": first, "second": second, "kind": kind, "size": size, "marks": marks})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> headstart.Run:
    return headstart.fit(frame(), out=tmp_path_factory.mktemp("joint") / "run", **QUICK)


def test_each_label_column_is_a_task_with_figures_of_its_own(run: headstart.Run) -> None:
    test, read = run.metrics["test"], pd.read_csv(run.folder / "test_predictions.csv")
    assert test["kind.accuracy"]["value"] > 0.8 and test["size.r2"]["value"] > 0.8
    assert test["marks.mean_average_precision"]["value"] > 0.8
    assert test["kind.accuracy"]["n"] == read["kind truth"].notna().sum() < len(read)
    primaries = ("kind.accuracy", "size.r2", "marks.mean_average_precision")
    assert test["mean_score"]["value"] == pytest.approx(np.mean([test[name]["value"] for name in primaries]))
    assert {"model", "classical", "constant"} == run.record.arms.keys()
    assert (
        run.record.arms["classical"].figures["size.r2"].value
        > 0.5
        > run.record.arms["constant"].figures["size.r2"].value
    )
    assert "Confusions: kind" in run.report.read_text() and "Predicted against true: size" in run.report.read_text()


def test_it_predicts_every_task_of_every_row_and_judges_those_with_labels(run: headstart.Run) -> None:
    new = frame(60, seed=1)
    found = run.predict(new[["first", "second"]])
    assert {"kind prediction", "size prediction", "marks prediction"} <= {*found.columns} and len(found) == 60
    known = new["size"].notna()
    judged = run.evaluate(new.assign(kind=None))
    assert judged.figures["size.mae"].value == pytest.approx(
        (found["size prediction"] - new["size"]).abs()[known].mean()
    )
    assert judged.figures["kind.accuracy"].n == 0
    with pytest.raises(DataError, match="none of the 60 examples has a label of kind or size or marks"):
        run.evaluate(new.assign(kind=None, size=np.nan, marks=None))


@pytest.mark.parametrize(
    ("changed", "more", "message"),
    [
        ({"kind": None}, {}, "column 'kind': none of the 160 examples has a label"),
        ({"kind": "warm"}, {}, "column 'kind': all 160 labels are 'warm'"),
        ({}, {"label": "kind", "task": "joint"}, "needs several label columns"),
        ({}, {"settings": {"task": {"kinds": {"sise": "regression"}}}}, "task.kinds: .*'sise'.*size"),
        (
            {},
            {"settings": {"task": {"options": {"kind": {"class_weight": "balanced"}}}}},
            "Did you mean 'class_weights'",
        ),
    ],
)
def test_what_cannot_be_learnt_is_named(
    changed: dict[str, Any], more: dict[str, Any], message: str, tmp_path: Path
) -> None:
    asked = {**QUICK, **({"task": "joint"} if "settings" in more else {}), **more}
    with pytest.raises((DataError, SettingsError), match=message):
        headstart.fit(frame().assign(**changed), out=tmp_path / "run", **asked)


def test_a_series_of_seeds_shows_the_spread_of_every_task(tmp_path: Path) -> None:
    run = headstart.fit(frame(), out=tmp_path / "run", seeds=2, **QUICK)
    assert run.record.spreads["model"]["size.r2"] >= 0 and "Spread over" in run.report.read_text()


def test_columns_of_0_and_1_are_labels_unless_each_is_asked_to_be_a_task(tmp_path: Path) -> None:
    flags = frame().assign(kind=lambda d: (d["first"] > 0).astype(int), size=lambda d: (d["second"] > 0).astype(int))
    asked = {**QUICK, "label": ["kind", "size"], "leave_out": ["marks"]}
    assert "kind.accuracy" not in headstart.fit(flags, out=tmp_path / "labels", **asked).metrics["test"]
    run = headstart.fit(flags, out=tmp_path / "tasks", task="joint", **asked)
    assert run.metrics["test"]["kind.accuracy"]["value"] > 0.8
    with pytest.raises(HeadstartError, match="'maybe'"):
        run.evaluate(flags.assign(kind="maybe"))


def test_joint_training_is_held_against_a_model_for_each_task(tmp_path: Path) -> None:
    steps: dict[str, Any] = {"tuning": "scratch", "backbone": "table_mlp", "weights": "random", "objective": "pcgrad"}
    settings: dict[str, dict[str, Any]] = {
        "tuning": {"epochs": 12, "learning_rate": 0.02, "rates_tried": [1.0]},
        "backbone": {"width": 16},
        "task": {"weights": {"size": 2.0}},
    }
    run = headstart.fit(frame(), out=tmp_path / "run", **QUICK, **steps, settings=settings)
    compared = [one.metric for one in run.record.comparisons if one.against == "single"]
    assert compared == ["mean_score", "kind.accuracy", "size.r2", "marks.mean_average_precision"]
    assert "a model for each task" in run.verdict and run.record.arms["single"].figures["size.r2"].value > 0.5
    (picture,) = [panel for panel in run.record.panels if isinstance(panel, Picture)]
    assert "kind" in picture.alternative and picture.image.startswith("data:image/svg")
    with pytest.raises(SettingsError, match="objective 'pcgrad' is for several tasks"):
        headstart.fit(frame(), out=tmp_path / "one", **{**QUICK, "label": "marks"}, **steps)


def test_each_of_several_data_sets_is_a_task(tmp_path: Path) -> None:
    whole = frame().assign(kind=lambda d: np.where(d["first"] > 0, "warm", "cold"))
    kinds, sizes = whole[["first", "second", "kind"]][:90], whole[["first", "second", "size"]][90:]
    asked: dict[str, Any] = {"joint": True, "scratch": False, "label_curve": False}
    for name, data in (("kinds", kinds), ("sizes", sizes.dropna())):
        data.to_csv(tmp_path / f"{name}.csv", index=False)
    paths = [tmp_path / "kinds.csv", tmp_path / "sizes.csv"]
    run = headstart.fit(paths, label=["kind", "size"], out=tmp_path / "run", **asked)
    assert run.metrics["test"]["kind.accuracy"]["value"] > 0.7 and run.metrics["test"]["size.r2"]["value"] > 0.8
    assert run.evaluate(sizes.dropna()).figures["size.r2"].value > 0.8
    assert run.evaluate().figures["kind.accuracy"].n == run.metrics["test"]["kind.accuracy"]["n"]
    alike = [sizes.dropna().rename(columns={"size": "label"}), kinds.rename(columns={"kind": "label"})]
    named = headstart.fit(alike, out=tmp_path / "alike", **asked).metrics["test"]
    assert {"data 1.r2", "data 2.accuracy"} <= named.keys()
    for wrong, message in (
        ({"data": paths, "label": ["kind", "size", "kind"]}, "3 times for 2 data sets"),
        ({"data": paths[0], "label": "kind"}, "one was given"),
        ({"data": paths, "target": kinds[["first", "second"]]}, "exclude each other"),
    ):
        with pytest.raises(HeadstartError, match=message):
            headstart.fit(**{**asked, **wrong, "out": tmp_path / "wrong"})


def test_spans_of_a_text_are_a_task_beside_its_class(tmp_path: Path) -> None:
    examples = tagged_texts(60)
    spans: list[Any] = examples.column("spans")
    topics = ["persons" if any(one["label"] == "person" for one in some) else "none" for some in spans]
    known = [some if number % 4 else None for number, some in enumerate(spans)]
    texts = pd.DataFrame({"text": examples.column("text"), "spans": pd.Series(known, dtype=object), "topic": topics})
    asked: dict[str, Any] = {
        "text": "text",
        "label": ["topic", "spans"],
        "scratch": False,
        "backbone": str(save_tiny(tmp_path / "tiny", "bert")),
    }
    steps: dict[str, Any] = {"tuning": {"epochs": 2}, "task": {"options": {"topic": {"class_weights": "balanced"}}}}
    run = headstart.fit(texts, out=tmp_path / "run", tuning="full", settings=steps, **asked)
    assert 0 < run.metrics["test"]["spans.f1"]["n"] < run.metrics["test"]["topic.accuracy"]["n"]
    found = run.predict(texts[["text"]][:3])
    assert {"topic prediction", "spans prediction"} <= {*found.columns} and len(found) == 3


def test_it_is_exported_as_one_graph_with_the_answers_of_every_task(run: headstart.Run, tmp_path: Path) -> None:
    found = headstart.export(run.folder, out=tmp_path / "exported", data=frame())
    names = {port.name for port in found.exported.outputs}
    assert {"kind.class", "size.value", "marks.chosen"} <= names and found.exported.gate.difference < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "figure"), [("mask", "mask.dice"), ("boxes", "boxes.ap")])
def test_masks_or_boxes_of_some_pictures_stand_beside_classes_of_others(kind: str, figure: str, tmp_path: Path) -> None:
    photos, others = photo_folder(tmp_path / "photos", {"dark": 12, "light": 12}), tmp_path / "others"
    boxed = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "disc"}]}
    save_pairs(others, range(16))
    if kind == "boxes":
        shutil.rmtree(others / "masks")
        for number in range(16):
            boxed["images"].append({"id": number, "file_name": f"{number:03d}.png", "width": 48, "height": 48})
            boxed["annotations"].append({"id": number, "image_id": number, "category_id": 1, "bbox": [8, 8, 32, 32]})
        (others / "instances.json").write_text(json.dumps(boxed))
    settings: dict[str, dict[str, Any]] = {
        "backbone": {"image_size": 32},
        "task": {"options": {kind: {"image_side": 32}}},
        "tuning": {"epochs": 1},
    }
    given = {"backbone": "test_resnet", "weights": "random", "runner": "eager", "scratch": False, "label_curve": False}
    run = headstart.fit([photos, others], joint=True, tuning="full", out=tmp_path / "run", settings=settings, **given)
    test = run.metrics["test"]
    assert 0 <= test[figure]["value"] <= 1
    assert 0 < test["label.accuracy"]["n"] < len(pd.read_csv(run.folder / "test_predictions.csv"))
    run.predict(photos, out=tmp_path / "found.csv")
    written = {"mask": "legend.json", "boxes": "coco.json"}[kind]
    assert (tmp_path / "found" / kind / written).is_file()


def test_long_texts_are_read_in_windows_by_spans_and_classes(tmp_path: Path) -> None:
    examples = tagged_texts(40)
    texts = examples.column("text")
    long = [text + " and so on" * (12 if number % 2 else 1) for number, text in enumerate(texts)]
    ends = [[*some, span(len(one) - 2, len(one), "place")] for some, one in zip(examples.column("spans"), long)]
    topics = ["one" if number % 2 else "other" for number in range(40)]
    data = pd.DataFrame({"text": long, "spans": pd.Series(ends, dtype=object), "topic": topics})
    settings: dict[str, Any] = {"tuning": {"epochs": 1}, "backbone": {"max_length": 16}}
    asked: dict[str, Any] = {"label": ["topic", "spans"], "scratch": False, "label_curve": False, "tuning": "full"}
    backbone = str(save_tiny(tmp_path / "tiny", "bert"))
    run = headstart.fit(data, text="text", out=tmp_path / "run", backbone=backbone, settings=settings, **asked)
    model = run.model
    windows = model.task.cut(examples_of(long, ends), model.backbone)
    assert isinstance(model.task, WindowedJoint) and len(windows.owner) > 60, "long texts are cut"
    predicted = Predictor(model)(examples_of(long, ends)).prediction
    words = [len(one.split()) for one in long]
    assert [len(one) for one in predicted.columns["spans.words"]] == words, "words behind the first window are tagged"
    pieces = Predictor(model)(windows.examples).prediction.columns["topic.logits"]
    means = [pieces[windows.owner == row].mean(axis=0) for row in range(40)]
    assert predicted.columns["topic.logits"] == pytest.approx(np.array(means), abs=1e-4)
    assert run.metrics["test"]["topic.accuracy"]["n"] == len(pd.read_csv(run.folder / "test_predictions.csv"))
