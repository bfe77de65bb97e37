"""From pictures with boxes in COCO's files to predicted boxes, by the commands of a user."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

import headstart
from detected_boxes import CLASSES, SIDE, boxes_of, picture_with
from headstart.cli.app import app
from headstart.contracts.format import Columns
from headstart.kernel.errors import DataError
from headstart.pipeline.data import read_examples
from small_videos import save_video
from tiny_detectors import save_tiny_detector

PICTURES = 60


def coco(folder: Path, rows: range) -> Path:
    """`images/` and `instances.json` of these pictures."""
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for row in rows:
        name, boxes = f"{row:03d}.png", boxes_of(row)
        Image.fromarray(picture_with(boxes, row)).save(folder / "images" / name)
        images.append({"id": row, "file_name": name, "width": SIDE, "height": SIDE})
        for one in boxes:
            place = [one["left"], one["top"], one["right"] - one["left"], one["bottom"] - one["top"]]
            number = CLASSES.index(one["label"]) + 1
            annotations.append({"id": len(annotations), "image_id": row, "category_id": number, "bbox": place})
    categories = [{"id": k + 1, "name": name} for k, name in enumerate(CLASSES)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(document))
    return folder


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return coco(tmp_path_factory.mktemp("detection") / "cells", range(PICTURES))


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough pictures where nothing is to be learnt well."""
    return coco(tmp_path_factory.mktemp("detection") / "few", range(24))


@pytest.fixture(scope="module")
def headstart_says(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    def says(*arguments: object) -> str:
        environment = {"HEADSTART_CACHE": str(tmp_path_factory.getbasetemp() / "cache")}
        result = CliRunner().invoke(app, [str(one) for one in arguments], env=environment)
        assert result.exit_code == 0, result.output
        return result.output

    return says


@pytest.fixture(scope="module")
def run(cells: Path, headstart_says: Callable[..., str]) -> Path:
    """The frozen head, trained on kept maps."""
    out = cells.parent / "run"
    short = ("tuning.epochs=2", "tuning.batch_size=8", "task.width=16")
    settings = [part for one in short for part in ("--set", one)]
    named = ("--backbone", "test_resnet", "--weights", "random", "--runner", "eager", "--tuning", "head_only")
    more = ("--no-scratch", "--no-label-curve", "--out", out, *settings)
    headstart_says("fit", cells, "--task", "detection", *named, *more)
    return out


def test_a_fit_ends_with_average_precision_its_interval_and_a_report(run: Path) -> None:
    figures = json.loads((run / "metrics.json").read_text())["test"]
    assert {"ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ap_cell", "ap_platelet"} == figures.keys()
    assert 0 <= figures["ap"]["low"] <= figures["ap"]["value"] <= figures["ap"]["high"] <= 1
    report = (run / "report.html").read_text()
    assert all(title in report for title in ("Precision and recall", "Errors", "Sizes", "Classes"))
    assert "missed (orange)" in report
    calibration = json.loads((run / "model" / "model.json").read_text())["calibration"]
    assert 0 <= calibration["threshold"] <= 1


def test_predictions_are_a_row_for_each_box_and_a_coco_file_that_can_be_read(
    run: Path, cells: Path, headstart_says: Callable[..., str], tmp_path: Path
) -> None:
    out = tmp_path / "found.csv"
    said = headstart_says("predict", run, cells / "images", "--out", out)
    assert f"{PICTURES} predictions" in said
    table = pd.read_csv(out)
    assert table.columns.tolist() == ["origin", "label", "score", "left", "top", "right", "bottom", "error"]
    assert table["origin"].nunique() == PICTURES
    boxes = table.dropna(subset="label")
    assert (boxes["left"] < boxes["right"]).all() and boxes[["right", "bottom"]].max().max() <= SIDE
    written = json.loads((tmp_path / "found" / "coco.json").read_text())
    assert len(written["images"]) == PICTURES and len(written["annotations"]) == len(boxes)
    frame = headstart.load(run).predict(cells / "images")
    assert frame["label"].fillna("").tolist() == table["label"].fillna("").tolist()
    if len(boxes):
        (tmp_path / "found" / "images").symlink_to(cells / "images")
        again, _ = read_examples(tmp_path / "found", Columns(target="boxes"))
        assert sum(map(len, again.target("boxes"))) == len(boxes)


def test_a_run_is_judged_on_other_pictures_and_refuses_other_classes(
    run: Path, headstart_says: Callable[..., str], tmp_path: Path
) -> None:
    other = coco(tmp_path / "other", range(100, 108))
    assert "AP" in headstart_says("evaluate", run, other)
    document = json.loads((other / "instances.json").read_text())
    document["categories"][0]["name"] = "dog"
    (other / "instances.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match="not learnt: dog"):
        headstart.load(run).evaluate(other)


def test_a_video_gets_boxes_with_their_times_and_tracks(
    run: Path, headstart_says: Callable[..., str], tmp_path: Path
) -> None:
    pytest.importorskip("cv2", reason="video needs the extra 'video'")
    save_video(tmp_path / "clip.mp4")
    said = headstart_says("predict", run, tmp_path / "clip.mp4", "--every", "0.2s", "--out", tmp_path / "found")
    folder = tmp_path / "found" / "predictions"
    assert "15 predictions" in said and "drawn into" in said and str(folder / "clip.mp4") in said.replace("\n", "")
    table = pd.read_csv(folder.with_suffix(".csv"))
    assert table["time"].unique() == pytest.approx([k / 5 for k in range(15)])
    tracks = pd.read_csv(folder / "tracks.csv")
    assert len(tracks) == table["label"].notna().sum()
    assert {image["time"] for image in json.loads((folder / "coco.json").read_text())["images"]} == {*table["time"]}
    assert {path.name for path in folder.iterdir()} >= {"coco.json", "tracks.csv", "clip.mp4"}


@pytest.mark.slow
def test_a_deep_look_names_boxes_that_are_missing_and_of_another_class(tmp_path: Path) -> None:
    data = coco(tmp_path / "cells", range(PICTURES))
    document = json.loads((data / "instances.json").read_text())
    large = [one for one in document["annotations"] if 30 < one["bbox"][2] < 60]
    missing = large[3:16:6]
    document["annotations"] = [one for one in document["annotations"] if one not in missing]
    large[20]["category_id"] = 2
    (data / "instances.json").write_text(json.dumps(document))
    settings = {"task": {"width": 64, "strides": [8]}}
    found = headstart.inspect(
        data, task="detection", deep=True, backbone="test_resnet", weights="random", settings=settings
    )
    assert found.deep is not None
    named = {(row.kind, row.origin) for row in found.deep.faults}
    assert ("wrong class of a box", f"images/{large[20]['image_id']:03d}.png") in named
    assert named & {("missing box", f"images/{one['image_id']:03d}.png") for one in missing}


def test_a_pretrained_detector_learns_new_classes_and_then_another(
    few: Path, headstart_says: Callable[..., str], tmp_path: Path
) -> None:
    backbone = save_tiny_detector(tmp_path / "detector", "rt_detr_v2")
    short = ("--set", "tuning.epochs=1", "--runner", "eager", "--no-scratch", "--no-label-curve")
    said = headstart_says("fit", few, "--backbone", backbone, "--tuning", "partial", "--out", tmp_path / "run", *short)
    assert "AP" in said
    assert json.loads((tmp_path / "run" / "model" / "model.json").read_text())["task"]["learnt"]["sets"] is True
    table = headstart.load(tmp_path / "run").predict(few / "images")
    assert set(table["label"]) <= {*CLASSES, ""} and table["right"].max() <= SIDE
    other = coco(tmp_path / "other", range(100, 116))
    document = json.loads((other / "instances.json").read_text())
    document["categories"][1]["name"] = "bubble"
    (other / "instances.json").write_text(json.dumps(document))
    headstart_says("fit", other, "--from", tmp_path / "run", "--tuning", "head_only", "--out", tmp_path / "on", *short)
    task = headstart.load(tmp_path / "on").model.task
    assert task.classes == ("cell", "platelet", "bubble") and task.sets


@pytest.mark.parametrize(
    ("tuning", "told"), [("partial", "which alone the tuning moves: it would do nothing"), ("full", "No gradient")]
)
def test_strides_that_leave_out_the_last_stage_are_told_where_it_was_to_move(
    few: Path, tmp_path: Path, tuning: str, told: str
) -> None:
    settings = ("tuning.epochs=1", "tuning.max_steps=2", "task.width=8", "task.strides=[8]")
    named = ("--backbone", "test_resnet", "--weights", "random", "--runner", "eager", "--tuning", tuning)
    quick = ("--no-scratch", "--no-label-curve")
    more = (*quick, "--out", tmp_path / "run", *(part for one in settings for part in ("--set", one)))
    arguments = [str(one) for one in ("fit", few, *named, *more)]
    result = CliRunner().invoke(app, arguments, env={"HEADSTART_CACHE": str(tmp_path / "cache")})
    assert told in " ".join(result.output.split()), result.output


@pytest.mark.slow
def test_the_label_curve_counts_boxes(headstart_says: Callable[..., str], tmp_path: Path) -> None:
    data = coco(tmp_path / "cells", range(90))
    settings = ("tuning.epochs=1", "task.width=8", "task.image_side=32", "task.strides=[4]")
    named = ("--backbone", "test_resnet", "--weights", "random", "--runner", "eager", "--tuning", "head_only")
    more = ("--no-scratch", "--out", tmp_path / "run", *(part for one in settings for part in ("--set", one)))
    said = " ".join(headstart_says("fit", data, *named, *more).split())
    curve = json.loads((tmp_path / "run" / "metrics.json").read_text())["label_curve"]
    parts = json.loads((data / "instances.json").read_text())["annotations"]
    assert curve["unit"] == "boxes" and len(curve["measured"]) == 3
    assert 0.6 * len(parts) < curve["labelled"] < len(parts)
    assert f"With twice the labels ({2 * curve['labelled']} boxes), expect AP" in said
