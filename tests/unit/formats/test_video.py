"""Videos: which frames are taken, what is told of odd files, and boxes beside them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.contracts.left_out import LeftOut
from headstart.contracts.modality import raws_of
from headstart.formats.video.decoding import Rule
from headstart.formats.video.format import VideoFrames
from headstart.kernel.errors import DataError
from headstart.media.images import decode_image
from headstart.pipeline.data import read_examples
from small_videos import HEIGHT, WIDTH, cut_off, save_video, square_at, with_variable_rate

pytest.importorskip("cv2", reason="video needs the extra 'video'")


def read(source: Path, *, labelled: bool = False, **settings: object) -> Examples:
    return VideoFrames(**settings).read(source, Columns(), labelled=labelled)


def numbers(examples: Examples) -> list[int]:
    return [int(origin.rpartition("#")[2]) for origin in examples.origins()]


def said(examples: Examples) -> str:
    return "\n".join(examples.notes)


@pytest.mark.parametrize(
    ("every", "taken"),
    [
        ("1s", [0, 10, 20]),
        ("0.5s", [0, 5, 10, 15, 20, 25]),
        ("7 frames", [0, 7, 14, 21, 28]),
        ("frame", list(range(30))),
    ],
)
def test_frames_are_taken_by_their_times_or_numbers(tmp_path: Path, every: str, taken: list[int]) -> None:
    examples = read(save_video(tmp_path / "a.mp4"), every=every)
    assert numbers(examples) == taken
    assert examples.column("time") == pytest.approx([number / 10 for number in taken])


def test_frames_are_the_pictures_of_the_video(tmp_path: Path) -> None:
    examples = read(save_video(tmp_path / "a.mp4"), every="4 frames")
    for number, raw in zip(numbers(examples), raws_of(examples)):
        pixels = np.asarray(decode_image(raw))
        left, top, right, bottom = square_at(number)
        assert pixels.shape == (HEIGHT, WIDTH, 3)
        assert pixels[top:bottom, left:right].mean() > 235 and pixels[30:].mean() < 110


def test_a_rule_by_change_takes_a_still_picture_once(tmp_path: Path) -> None:
    assert numbers(read(save_video(tmp_path / "still.mp4", moves=False), every="change")) == [0]
    moved = numbers(read(save_video(tmp_path / "moves.mp4"), every="change", change=0.02))
    assert moved[0] == 0 and 2 < len(moved) < 30


@pytest.mark.parametrize("every", ["", "often", "0s", "0 frames", "-1s"])
def test_other_rules_are_refused(every: str) -> None:
    with pytest.raises(ValueError, match="is no rule for frames"):
        Rule(every)


def test_a_variable_frame_rate_is_told_and_times_are_those_of_the_file(tmp_path: Path) -> None:
    path = with_variable_rate(save_video(tmp_path / "a.mp4"), first=20, slower=5)
    examples = read(path)
    assert numbers(examples) == [0, 10, 20, 22, 24, 26, 28]
    assert examples.column("time") == pytest.approx(list(range(7)))
    assert "variable frame rate, whose frames go by their times: 1, such as a.mp4, which goes at 2 to 10" in said(
        examples
    )


def test_a_video_that_is_cut_off_keeps_the_frames_that_are_there(tmp_path: Path) -> None:
    examples = read(cut_off(save_video(tmp_path / "a.mp4", frames=200), 0.5), every="frame")
    assert 50 < len(examples) < 150
    assert f"videos that seem cut off: 1, such as a.mp4, which ends after {len(examples)} of the 200 frames" in said(
        examples
    )


FAULTS = {
    "text": (
        b"#EXTM3U\nhttp://example.com/other.mp4\n",
        r"is no video, whatever its name says: it begins with b'#EXTM3U",
    ),
    "empty": (b"", r"is empty \(0 bytes\)"),
    "no frames": (
        b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2",
        "cannot be decoded: it is cut off, has no frames",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_video_is_named_and_the_others_are_kept(tmp_path: Path, fault: str) -> None:
    content, said = FAULTS[fault]
    (tmp_path / "bad.mp4").write_bytes(content)
    with pytest.raises(DataError, match=rf"no frame of any video can be read: bad\.mp4 {said}"):
        read(tmp_path / "bad.mp4")
    save_video(tmp_path / "good.mp4")
    examples = read(tmp_path)
    (note,) = (note for note in examples.notes if isinstance(note, LeftOut))
    assert re.search(rf"videos that cannot be read, left out: 1, such as bad\.mp4 {said}", note)
    assert {*examples.column("video")} == {"good.mp4"}


def test_class_folders_are_classes_and_files_are_groups(tmp_path: Path) -> None:
    for place in ("cat/a.mp4", "cat/b.mp4", "dog/c.mp4"):
        save_video(tmp_path / place)
    examples, seen = read_examples(tmp_path, Columns())
    assert seen == "3 videos" and examples.schema.group == "video"
    assert examples.target() == ["cat"] * 6 + ["dog"] * 3
    with pytest.raises(
        DataError, match=r"labels are wanted, and there are no class folders .* such as a\.csv with frame"
    ):
        read(tmp_path / "cat/a.mp4", labelled=True)


TABLES = {
    "mot": ("a.txt", "", 1, lambda n, box: f"{n},7,{box[0]},{box[1]},{box[2] - box[0]},{box[3] - box[1]},1,1,1.0"),
    "cvat": (
        "a.csv",
        "frame,id,x,y,w,h\n",
        0,
        lambda n, box: f"{n},7,{box[0]},{box[1]},{box[2] - box[0]},{box[3] - box[1]}",
    ),
    "corners": (
        "a.mp4.csv",
        "frame,track_id,xmin,ymin,xmax,ymax,label\n",
        0,
        lambda n, b: f"{n},7,{b[0]},{b[1]},{b[2]},{b[3]},box",
    ),
}


@pytest.mark.parametrize("form", TABLES)
def test_boxes_beside_a_video_make_its_frames_examples(tmp_path: Path, form: str) -> None:
    name, header, first, line = TABLES[form]
    save_video(tmp_path / "a.mp4")
    lines = [line(number + first, square_at(number)) for number in range(0, 20, 4)]
    (tmp_path / name).write_text(header + "\n".join([*lines, line(50, (0, 0, 5, 5))]) + "\n")
    examples, _ = read_examples(tmp_path, Columns(), settings={"every": "frame"})
    assert numbers(examples) == list(range(0, 20, 4)) and examples.schema.targets == {"boxes": "boxes"}
    boxes = [
        [tuple(box[key] for key in ("left", "top", "right", "bottom")) for box in row]
        for row in examples.target("boxes")
    ]
    assert boxes == [[square_at(number)] for number in range(0, 20, 4)]
    (kind,) = {(box["label"], box["track"]) for row in examples.target("boxes") for box in row}
    assert kind == ({"mot": "pedestrian", "cvat": "object", "corners": "box"}[form], 7)
    assert f"tables with boxes behind the end of their video: 1, such as 1 frames of {name}" in said(examples)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time,x,y\n1,2,3\n", r"a\.csv has the columns time, x, y; expected frame,id,x,y,w,h"),
        ("frame,id,x,y,w,h\n0,1,2,3,4,5\none,1,2,3,4,5\n", r"a\.csv:3: 'one' is no number of a frame"),
    ],
)
def test_tables_that_are_none_are_refused_by_line(tmp_path: Path, text: str, said: str) -> None:
    save_video(tmp_path / "a.mp4")
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        read(tmp_path, labelled=True)


def test_folders_of_parts_are_a_given_split_of_labelled_videos(tmp_path: Path) -> None:
    for part in ("train", "test"):
        save_video(tmp_path / part / "a.mp4")
        (tmp_path / part / "a.csv").write_text("frame,id,x,y,w,h\n0,1,2,3,9,9\n")
    examples, _ = read_examples(tmp_path, Columns())
    assert examples.column(str(examples.schema.part)) == ["test", "train"]
