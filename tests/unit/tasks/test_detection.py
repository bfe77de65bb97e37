"""Boxes in frames and back, what crowds do, decoding, kinds of errors, and what tables and files have of boxes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from detected_boxes import CLASSES, MAPS, box, box_maps, boxed, boxed_pictures, boxes_of
from head_shapes import Shapes
from headstart.contracts.examples import Examples
from headstart.contracts.placed_targets import Boxes
from headstart.contracts.prediction import Prediction
from headstart.contracts.presentation import presentation_of, review_of
from headstart.kernel.errors import BackboneError, DataError
from headstart.pipeline.judge import judge
from headstart.tasks.detection.boxes import Frame, encoded, frame_of
from headstart.tasks.detection.decoding import decode
from headstart.tasks.detection.errors import KINDS, told_apart
from headstart.tasks.detection.losses import sums_of
from headstart.tasks.detection.metrics import best_threshold
from headstart.tasks.detection.point_head import PointHead, points_of
from headstart.tasks.detection.task import BoundDetection, Detection

SHAPES = Shapes(8, MAPS)


def bound(pictures: list[Any], size: tuple[int, int] = (96, 96), **settings: Any) -> BoundDetection:
    return Detection(**settings).bind(boxed(pictures, size), SHAPES)


def truth(*boxes: tuple[Any, ...]) -> np.ndarray:
    """(boxes, 10) of left, top, right, bottom, class and whether it is a crowd."""
    rows = np.zeros((len(boxes), 10))
    for row, (edges, label, crowd) in zip(rows, boxes):
        row[:4] = row[6:] = edges
        row[4:6] = label, crowd
    return rows


def found(*boxes: tuple[Any, ...]) -> np.ndarray:
    """(boxes, 6) of the edges, the score and the class."""
    return np.array([[*edges, score, label] for edges, score, label in boxes]).reshape(-1, 6)


def test_boxes_lie_in_the_frame_as_their_picture_does() -> None:
    task = bound([[box("cell", 0, 0, 320, 240), box("cell", 32, 24, 64, 48)]], (320, 240), image_side=160)
    (target,) = task.targets(boxed([[box("cell", 0, 0, 320, 240)]], (320, 240)))["boxes"]
    assert target[0, :4].tolist() == [0, 0, 160, 120] and target[0, 6:].tolist() == [0, 0, 320, 240]
    frame = frame_of((101, 67), 96)
    assert encoded([box("cell", 0, 0, 101, 67)], frame, {"cell": 0})[0, :4].tolist() == [0, 0, 96, 64]


def test_what_a_head_says_comes_back_in_the_pixels_of_the_picture() -> None:
    points = points_of(4, 4, 32)[None]
    boxes = torch.zeros(1, 16, 4)
    boxes[0, 5] = torch.tensor([16.0, 16.0, 80.0, 96.0])
    scores = torch.full((1, 16, 1), -20.0)
    scores[0, 5], centreness = 20.0, torch.full((1, 16), 20.0)
    outputs = {"scores": scores, "boxes": boxes, "centreness": centreness, "points": points}
    (rows,) = decode(outputs, torch.tensor([[256, 160, 128, 80]]), 0.05, 0.6, 100)
    assert rows[:, :4].tolist() == [[32.0, 32.0, 160.0, 160.0]] and rows[0, 4] == pytest.approx(1)


def test_only_boxes_of_one_class_suppress_each_other_and_the_likeliest_are_kept() -> None:
    boxes = torch.tensor([[[0.0, 0.0, 50.0, 50.0], [2.0, 2.0, 52.0, 52.0], [60.0, 60.0, 90.0, 90.0]]])
    scores = torch.tensor([[[4.0, 3.0], [3.0, -9.0], [2.0, -9.0]]])
    outputs = {"scores": scores, "boxes": boxes, "centreness": torch.full((1, 3), 9.0)}
    frame = torch.tensor([[96, 96, 96, 96]])
    (rows,) = decode(outputs, frame, 0.3, 0.6, 100)
    assert [(row[0], row[5]) for row in rows] == [(0, 0), (0, 1), (60, 0)]
    (two,) = decode(outputs, frame, 0.3, 0.6, 2)
    assert np.array_equal(two, rows[:2])


@pytest.mark.parametrize("strides", [(8, 16, 32), (8, 16, 32, 64), (16,)])
def test_a_head_has_a_point_in_the_middle_of_each_cell_of_its_levels(strides: tuple[int, ...]) -> None:
    head = PointHead(MAPS, strides, 8, 2)
    with torch.no_grad():
        outputs = head(box_maps(boxed_pictures(2)).maps)
    expected = torch.cat([points_of(math.ceil(96 / stride), math.ceil(96 / stride), stride) for stride in strides])
    assert torch.equal(outputs["points"][1], expected)
    assert outputs["scores"].shape == (2, len(expected), 2) and outputs["boxes"].shape == (2, len(expected), 4)
    inside = (outputs["boxes"][..., :2] < outputs["points"][..., :2]) & (
        outputs["points"][..., :2] < outputs["boxes"][..., 2:]
    )
    assert inside.all()


def test_a_crowd_is_neither_learnt_nor_punished() -> None:
    points = points_of(12, 12, 8).expand(1, -1, -1)
    scores = torch.zeros(1, 144, 2)
    outputs = {"scores": scores, "boxes": torch.zeros(1, 144, 4), "centreness": torch.zeros(1, 144), "points": points}
    crowd = torch.from_numpy(truth(((0, 0, 48, 48), 0, 1)))[None]
    sums = sums_of(outputs, crowd)
    assert sums["focal"][1] == sums["giou"][1] == 0
    nothing = sums_of(outputs, torch.empty(1, 0, 10))
    assert sums["focal"][0] == pytest.approx(nothing["focal"][0] * (144 - 36) / 144)


@pytest.mark.parametrize(
    ("pictures", "why"),
    [
        ([[box("cell", 0, 0, 9, 9)], None], "1 of 2 pictures have no labels: picture 1"),
        ([[], []], "none of the 2 pictures has a box"),
        ([[box("cell", 5, 5, 5, 9)]], "picture 0: the box left 5, top 5, right 5, bottom 9 of 'cell' has no area"),
        ([[{**box("x", 0, 0, 9, 9), "label": None}]], "picture 0: a box has no class"),
    ],
)
def test_boxes_that_cannot_be_learnt_are_refused_by_name(pictures: list[Any], why: str) -> None:
    with pytest.raises(DataError, match=why):
        bound(pictures)
    assert any(why in fault for fault in review_of(Detection, boxed(pictures)).faults)


def test_other_classes_are_refused_later_and_a_backbone_without_maps() -> None:
    task = bound([[box("cell", 0, 0, 9, 9)]])
    with pytest.raises(DataError, match="boxes of classes that were not learnt: dog"):
        task.targets(boxed([[box("dog", 0, 0, 9, 9)]]))
    with pytest.raises(BackboneError, match="needs maps"):
        task.head(Shapes(8))
    assert len(task.targets(boxed([[box("dog", 0, 0, 9, 9, crowd=True)]]))["boxes"][0]) == 0


def test_classes_of_more_data_come_after_those_that_are_known() -> None:
    task = bound([[box("cell", 0, 0, 40, 40), box("platelet", 50, 50, 60, 60)]])
    more = boxed([[box("bubble", 0, 0, 30, 30)], [box("cell", 0, 0, 30, 30)]])
    extended = task.extended(more, SHAPES)
    assert extended.classes == ("cell", "platelet", "bubble") and extended.counts == (1, 0, 1)
    assert extended.image_side == task.image_side and extended.strides == task.strides
    assert task.split_policy(more).names == ("cell", "platelet", "bubble", "no object")
    assert [target[0, 4] for target in extended.targets(more)["boxes"]] == [2, 0]


@pytest.mark.parametrize(
    ("side", "boxes", "strides"),
    [
        (512, [(40, 60), (100, 100)], (8, 16, 32)),
        (512, [(10, 30), (100, 100)], (4, 8, 16, 32)),
        (1024, [(600, 100), (50, 50)], (8, 16, 32, 64)),
    ],
)
def test_strides_follow_from_the_sizes_of_the_boxes(
    side: int, boxes: list[tuple[int, int]], strides: tuple[int, ...]
) -> None:
    task = bound([[box("cell", 0, 0, *sides) for sides in boxes]], (side, side), image_side=side)
    assert task.strides == strides
    assert [choice.what for choice in task.choices()] == (["strides"] if len(strides) == 4 else [])


@pytest.mark.slow
def test_boxes_that_no_cell_can_find_are_told_with_the_setting_that_helps() -> None:
    review = review_of(Detection, boxed([[box("cell", 0, 0, 20, 20), box("cell", 50, 50, 53, 53)]] * 12, (900, 700)))
    (note,) = (note for note in review.notes if "finest stride" in note)
    assert note.startswith("12 of 24 boxes are narrower than 4 px") and "--set task.image_side=" in note
    task = bound([[box("cell", 0, 0, 20, 20), box("cell", 50, 50, 53, 53)]] * 12, (900, 700))
    assert ("boxes too small", "12 of 24", note) in task.choices()


def test_every_prediction_and_every_box_has_one_kind() -> None:
    true = truth(
        ((0, 0, 40, 40), 0, 0),
        ((50, 50, 90, 90), 1, 0),
        ((100, 0, 140, 40), 0, 0),
        ((200, 200, 220, 220), 0, 0),
        ((150, 150, 190, 190), 0, 1),
    )
    told = told_apart(
        true,
        found(
            ((1, 0, 40, 40), 0.9, 0),
            ((2, 0, 40, 40), 0.8, 0),
            ((50, 50, 90, 90), 0.7, 0),
            ((100, 0, 140, 15), 0.6, 0),
            ((100, 0, 140, 12), 0.5, 1),
            ((0, 200, 30, 230), 0.4, 1),
            ((150, 150, 180, 180), 0.3, 0),
        ),
    )
    assert told.kinds == ("right", "double", "class", "place", "both", "background", "")
    assert set(told.kinds) - {"right", ""} == set(KINDS)
    assert told.found.tolist() == [True, False, False, False]
    assert told.nearly.tolist() == [False, True, True, False]


def test_the_threshold_is_where_f1_is_greatest() -> None:
    truths = [truth(((0, 0, 10, 10), 0, 0)), truth(((20, 20, 40, 40), 1, 0), ((60, 60, 90, 90), 1, 0))]
    predicted = [
        found(((0, 0, 10, 10), 0.9, 0), ((50, 0, 70, 20), 0.2, 0)),
        found(((20, 20, 40, 40), 0.8, 1), ((60, 60, 90, 90), 0.4, 1), ((0, 60, 30, 90), 0.3, 1)),
    ]
    assert best_threshold(truths, predicted) == pytest.approx(0.35)
    assert best_threshold(truths, [found(), found()]) == 0
    assert best_threshold([truth()], [found(((0, 0, 9, 9), 0.5, 0))]) == 0


def predicted_by_hand(task: BoundDetection) -> Prediction:
    boxes = np.empty(2, dtype=object)
    boxes[:] = [found(((1.234, 2, 11, 22), 0.9, 1), ((0, 0, 5, 5), 0.1, 0)), found(((0, 0, 5, 5), 0.2, 0))]
    raw = Prediction({"boxes": boxes, "size": np.array([[96, 80], [64, 48]])})
    return task.evaluation.finish(raw, {"threshold": 0.5})


def test_a_table_has_a_row_for_each_likely_box_and_one_for_a_picture_without_any() -> None:
    task = bound([[box("cell", 0, 0, 40, 40), box("platelet", 50, 50, 60, 60)], []])
    shown: Any = presentation_of(task)
    repeats, columns = shown.rows(predicted_by_hand(task))
    assert repeats.tolist() == [1, 1] and columns["label"].tolist() == ["platelet", ""]
    assert columns["left"][0] == 1.23 and math.isnan(columns["left"][1])
    assert shown.columns(predicted_by_hand(task))["prediction"].tolist() == ['{"platelet": 1}', "{}"]
    assert shown.tally(shown.labels(boxed([[box("cell", 0, 0, 9, 9)] * 2, []]))) == {"cell": 2}


def test_a_coco_file_has_every_part_of_the_pictures_and_none_is_written_twice(tmp_path: Path) -> None:
    task = bound([[box("cell", 0, 0, 40, 40), box("platelet", 50, 50, 60, 60)]])
    shown: Any = presentation_of(task)
    for names in (["a", "b"], ["c", "d"]):
        raws = [Path(f"/{name}.png") for name in names]
        assert shown.files(predicted_by_hand(task), raws, names, tmp_path) == []
        (lines,) = tmp_path.iterdir()
        assert len(lines.read_text().splitlines()) == (2 if names == ["a", "b"] else 4)
    shown.finish(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["coco.json"]
    written = json.loads((tmp_path / "coco.json").read_text())
    assert [(one["id"], one["file_name"]) for one in written["images"]] == [
        *enumerate(["a.png", "b.png", "c.png", "d.png"], 1)
    ]
    assert [one["name"] for one in written["categories"]] == [*CLASSES]
    first, second = written["annotations"]
    assert first["bbox"] == [1.23, 2.0, 9.77, 20.0] and first["score"] == 0.9 and first["category_id"] == 2
    assert (first["image_id"], second["image_id"], second["id"]) == (1, 3, 2)


def test_pictures_with_more_boxes_than_are_kept_are_counted() -> None:
    task = bound([[box("cell", 0, 0, 40, 40)] * 3, [box("cell", 0, 0, 40, 40)]], most=2)
    assert any("1 pictures have more than 2 boxes" in choice.reason for choice in task.choices())


def test_a_picture_that_cannot_be_read_takes_all_of_its_frame() -> None:
    examples = boxed([[box("cell", 0, 0, 40, 40)]])
    broken = examples.table.set_column(0, "picture", [[b"no picture"]])
    task = bound([[box("cell", 0, 0, 40, 40)]])
    assert task.inputs(type(examples)(broken, examples.schema))["frame"].tolist() == [[*Frame(96, 96, 96, 96)]]


def foresight_of(examples: Any, *, swap: bool = False) -> Any:
    """What is told of pictures before training, where each class has a map of its own; `swap` exchanges a label."""
    task = Detection().bind(examples, SHAPES)
    targets = task.targets(examples)["boxes"]
    if swap:
        targets[3][0, 4] = 1 - targets[3][0, 4]
    features = box_maps(examples)
    return task.foresight([(np.arange(len(examples)), features, {"boxes": Boxes().collated(targets)})], None, 0)


@pytest.mark.slow
def test_probes_of_boxes_and_cells_tell_what_a_head_can_reach() -> None:
    examples = boxed([boxes_of(seed) or [box("cell", 0, 0, 30, 30)] for seed in range(60)])
    found = foresight_of(examples)
    (panel,) = found.panels
    assert [row[1] for row in panel.rows] == ["all maps", "stride 8", "stride 16", "stride 32"]
    assert all(low <= value <= high for _, _, value, low, high, _ in panel.rows)
    assert panel.rows[0][2] > 0.95 and panel.rows[1][2] > 0.95 and not found.doubtful
    assert "of the true boxes" in found.sentences[0]


@pytest.mark.slow
def test_a_box_of_another_class_is_named_before_training() -> None:
    examples = boxed([[box(CLASSES[seed % 2], 8, 8, 72, 72)] for seed in range(60)])
    (doubtful,) = foresight_of(examples, swap=True).doubtful
    assert (doubtful.row, doubtful.given, doubtful.likely) == (3, "cell", "platelet")


@pytest.mark.slow
def test_nothing_is_foreseen_of_too_few_pictures_or_a_single_class() -> None:
    assert foresight_of(boxed([[box("cell", 0, 0, 40, 40)]] * 2)).panels == ()
    (panel,) = foresight_of(boxed([[box("cell", 0, 0, 40, 40)]] * 9)).panels
    assert all(row[0].startswith("object or background") for row in panel.rows)


def test_sure_predictions_name_boxes_that_are_missing_misplaced_or_of_another_class() -> None:
    task = bound([[box("cell", 0, 0, 40, 40), box("platelet", 50, 50, 60, 60)]])
    places = [(x, y, x + 20, y + 20) for x in range(0, 96, 24) for y in range(0, 96, 24)]
    boxes, predicted = np.empty(5, dtype=object), np.empty(5, dtype=object)
    for row in range(5):
        boxes[row] = truth(*((place, 0, 0) for place in places))
        predicted[row] = found(*((place, 0.9, 0) for place in places))
    boxes[0] = boxes[0][1:]
    boxes[1][0, 4] = 1
    boxes[2][0, 6:] = 0, 0, 20, 7
    unsure = found(*(((60 + k, 60, 70 + k, 94), 0.1, 1) for k in range(8)))
    predicted[3] = np.concatenate([predicted[3], unsure])
    doubtful = task.doubts(Prediction({"boxes": predicted}), {"boxes": boxes})
    kinds = [(one.row, one.kind, one.given, one.likely) for one in doubtful]
    assert kinds == [
        (0, "missing box", "", "cell"),
        (1, "wrong class of a box", "platelet", "cell"),
        (2, "misplaced box", "cell", "cell"),
    ]
    assert doubtful[0].detail == "left 0, top 0, right 20, bottom 20; score 0.90"
    few = task.doubts(Prediction({"boxes": predicted[:1]}), {"boxes": boxes[:1]})
    assert few == ()


@pytest.mark.slow
def test_a_report_of_a_video_shows_its_frames_in_order_with_the_tracks_of_their_boxes() -> None:
    places = [(8 * k, 10, 8 * k + 30, 40) for k in range(6)]
    examples = boxed([[box("cell", *places[k])] for k in (3, 0, 5, 1, 4, 2)] + [[]])
    order = np.array([3, 0, 5, 1, 4, 2, 0])
    more = {"time": pa.array(order / 10), "video": pa.array(["street.mp4"] * 6 + ["short.mp4"])}
    table = examples.table
    for name, column in more.items():
        table = table.append_column(name, column)
    schema = examples.schema.model_copy(update={"group": "video", "time": "time"})
    video, task = Examples(table, schema), bound([[box("cell", 0, 0, 40, 40), box("platelet", 0, 0, 9, 9)]])
    boxes = np.empty(7, dtype=object)
    boxes[:] = [found((places[k], 0.9, 0)) for k in (3, 0, 5, 1, 4, 2)] + [found()]
    prediction = Prediction({"boxes": boxes, "size": np.full((7, 2), 96), "threshold": np.full(7, 0.5)})
    panel: Any = judge(task, video, task.targets(video), {"model": prediction}, None, 0).panels[-1]
    assert panel.title == "Frames with tracks" and panel.image.startswith("data:image/jpeg")
    assert panel.note.startswith("1 tracks in 6 frames of street.mp4; shown at 0 s, 0.1 s, 0.2 s, 0.3 s, 0.4 s, 0.5 s")
    plain = examples.schema.model_copy(update={"group": "video"})
    panels = judge(task, Examples(table, plain), task.targets(video), {"model": prediction}, None, 0).panels
    assert panels[-1].title != "Frames with tracks"
