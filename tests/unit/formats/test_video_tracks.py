"""Tracks of predicted boxes in videos: the table, COCO with tracks, the drawn video and the strip."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.contracts.format import Columns
from headstart.formats.coco import Coco
from headstart.formats.video.decoding import Rule, Video
from headstart.formats.video.format import VideoFrames
from small_videos import HEIGHT, WIDTH, save_video, square_at

cv2 = pytest.importorskip("cv2", reason="video needs the extra 'video'")


def predicted(folder: Path, names: list[str], numbers: list[int]) -> Path:
    """Boxes as the task writes them: the square, and a second object of low score."""
    content: dict[str, Any] = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "square"}]}
    for name in names:
        for number in numbers:
            image = {
                "id": len(content["images"]) + 1,
                "file_name": f"{name}#{number}",
                "width": WIDTH,
                "height": HEIGHT,
            }
            content["images"].append(image)
            left, top, right, bottom = square_at(number)
            for box, score in (
                ([left, top, right - left, bottom - top], 0.9),
                ([50, 35, 8, 8], 0.9 if number < 6 else 0.5),
            ):
                one = {"id": len(content["annotations"]) + 1, "image_id": image["id"], "category_id": 1}
                content["annotations"].append({**one, "bbox": box, "score": score})
    folder.mkdir()
    (folder / "coco.json").write_text(json.dumps(content))
    return folder


def test_objects_are_followed_through_each_video(tmp_path: Path) -> None:
    for name in ("a", "sub/b"):
        save_video(tmp_path / f"videos/{name}.mp4")
    numbers = list(range(0, 20, 2))
    folder = predicted(tmp_path / "found", ["a.mp4", "sub/b.mp4"], numbers)
    written = VideoFrames().followed(tmp_path / "videos", folder)
    names = {"tracks.csv", "a.mp4", "a.strip.jpg", "sub/b.mp4", "sub/b.strip.jpg"}
    assert {path.relative_to(folder).as_posix() for path in written} == names
    with open(folder / "tracks.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * len(numbers)
    for video in ("a.mp4", "sub/b.mp4"):
        mine = [row for row in rows if row["video"] == video]
        assert [float(row["time"]) for row in mine[::2]] == pytest.approx([number / 10 for number in numbers])
        assert [row["track"] for row in mine[::2]] == ["1"] * 10 and [row["track"] for row in mine[1::2]] == ["2"] * 10
    video = Video(folder / "a.mp4")
    frames = list(video.read(Rule("frame")))
    assert len(frames) == 10 and video.rate == pytest.approx(5.0)
    strip = cv2.imread(str(folder / "a.strip.jpg"))
    assert strip.shape == (240, 6 * 320, 3)


def test_the_file_of_boxes_has_the_tracks_and_trains_as_labelled_video(tmp_path: Path) -> None:
    save_video(tmp_path / "a.mp4")
    folder = predicted(tmp_path / "found", ["a.mp4"], [0, 5, 10])
    VideoFrames(track_score=0.1).followed(tmp_path / "a.mp4", folder)
    content = json.loads((folder / "coco.json").read_text())
    assert content["videos"] == [{"id": 1, "name": "a.mp4"}]
    assert [(one["video_id"], one["frame_id"], one["time"]) for one in content["images"]] == [
        (1, 0, 0),
        (1, 5, 0.5),
        (1, 10, 1),
    ]
    assert all(isinstance(one["track_id"], int) for one in content["annotations"] if one["bbox"][0] == 50)
    for image in content["images"]:
        cv2.imwrite(str(folder / f"{image['file_name']}.png"), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
        image["file_name"] += ".png"
    (folder / "coco.json").write_text(json.dumps(content))
    examples = Coco().read(folder / "coco.json", Columns())
    assert examples.column(str(examples.schema.group)) == ["a.mp4"] * 3


def test_frames_without_boxes_are_in_the_drawn_video(tmp_path: Path) -> None:
    save_video(tmp_path / "a.mp4")
    folder = predicted(tmp_path / "found", ["a.mp4"], [0, 10])
    content = json.loads((folder / "coco.json").read_text())
    (folder / "coco.json").write_text(json.dumps({**content, "annotations": []}))
    written = VideoFrames().followed(tmp_path / "a.mp4", folder)
    assert [path.name for path in written] == ["tracks.csv", "a.mp4"]
    assert len(list(Video(folder / "a.mp4").read(Rule("frame")))) == 2


def test_a_folder_without_boxes_stays_as_it_is(tmp_path: Path) -> None:
    save_video(tmp_path / "a.mp4")
    (tmp_path / "found").mkdir()
    assert VideoFrames().followed(tmp_path / "a.mp4", tmp_path / "found") == []
    assert not list((tmp_path / "found").iterdir())
