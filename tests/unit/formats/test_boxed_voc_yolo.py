"""Pascal VOC and YOLO: the same boxes as in COCO, and what is told or refused of odd files."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from boxed_pictures import BOXES, edges, save_boxed_coco, save_boxed_mot, save_boxed_voc, save_boxed_yolo, save_pictures
from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.contracts.left_out import LeftOut
from headstart.formats.voc import Voc
from headstart.formats.yolo import Yolo
from headstart.kernel.errors import DataError
from headstart.pipeline.data import read_examples

Change = Callable[[Path], object]


def voc(folder: Path) -> Examples:
    return Voc().read(folder, Columns())


def yolo(folder: Path) -> Examples:
    return Yolo().read(folder, Columns())


def told(examples: Examples) -> list[str]:
    return [note for note in examples.notes if isinstance(note, LeftOut)]


def replaced(path: str, old: str, new: str) -> Change:
    def change(folder: Path) -> None:
        text = (folder / path).read_text()
        assert old in text
        (folder / path).write_text(text.replace(old, new))

    return change


def written(path: str, text: str) -> Change:
    return lambda folder: (folder / path).write_text(text)


@pytest.mark.parametrize("save", [save_boxed_coco, save_boxed_voc, save_boxed_yolo])
def test_the_same_data_give_the_same_boxes_to_the_bit(tmp_path: Path, save: Callable[[Path], Path]) -> None:
    examples, _ = read_examples(save(tmp_path), Columns())
    assert [Path(origin).name for origin in examples.origins()] == list(BOXES)
    assert edges(examples.target("boxes")) == list(BOXES.values())
    assert not any(box["crowd"] for row in examples.target("boxes") for box in row)


def test_voc_numbers_with_zeros_or_fractions_are_edges(tmp_path: Path) -> None:
    save_boxed_voc(tmp_path)
    said = "boxes are taken as first and last pixels from 1 on, as Pascal VOC has them"
    assert any(note.startswith(said) for note in voc(tmp_path).notes)
    replaced("Annotations/b.xml", "<xmin>1<", "<xmin>0<")(tmp_path)
    examples = voc(tmp_path)
    assert edges(examples.target("boxes"))[0][0] == ("cat", 4, 5, 13, 24)
    assert any("taken as edges from 0 on, as some numbers are 0" in note for note in examples.notes)
    assert edges(Voc(pixels="inclusive").read(tmp_path, Columns()).target("boxes"))[0] == BOXES["a.png"]


def test_difficult_objects_are_crowds_and_parts_of_objects_are_none(tmp_path: Path) -> None:
    save_boxed_voc(tmp_path)
    replaced("Annotations/b.xml", "<difficult>0<", "<difficult>1<")(tmp_path)
    part = "<part><name>tail</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>"
    replaced("Annotations/b.xml", "</object>", part + "</object>")(tmp_path)
    examples = voc(tmp_path)
    assert [box["crowd"] for box in examples.target("boxes")[1]] == [True]
    assert any(
        "neither learnt nor counted as missed: 1, such as object 1 of Annotations/b.xml" in n for n in examples.notes
    )


def test_lists_of_voc_are_a_given_split(tmp_path: Path) -> None:
    folder = save_boxed_voc(tmp_path / "VOC2007")
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    for name, lines in {
        "train": "a\nb\n",
        "val": "c\n",
        "trainval": "a\nb\nc\n",
        "test": "d\n",
        "cat_train": "a -1\n",
    }.items():
        (folder / "ImageSets" / "Main" / f"{name}.txt").write_text(lines)
    for root in (folder, tmp_path):
        assert voc(root).column("part") == ["train", "train", "val", "test"]


VOC_FAULTS: dict[str, tuple[Change, str]] = {
    "broken": (
        written("Annotations/b.xml", "<annotation><object>"),
        "XML files that cannot be read, with their pictures, left out: 1, such as Annotations/b.xml cannot be read: no "
        "element found: line 1, column 20",
    ),
    "entities": (
        replaced("Annotations/b.xml", "<annotation>", '<!DOCTYPE a [<!ENTITY x "y">]><annotation>'),
        "left out: 1, such as Annotations/b.xml declares a document type, which annotations do not need",
    ),
    "no class": (
        replaced("Annotations/b.xml", "<name>dog</name>", ""),
        "left out: 1, such as Annotations/b.xml has no name of the class of object 1",
    ),
    "no number": (
        replaced("Annotations/b.xml", "<xmax>8</xmax>", "<xmax>eight</xmax>"),
        "boxes that are not four finite numbers, left out: 1, such as object 1 of Annotations/b.xml",
    ),
    "no picture": (
        lambda folder: (folder / "JPEGImages/b.png").unlink(),
        "XML files without a picture, left out: 1, such as Annotations/b.xml",
    ),
    "no file": (
        lambda folder: (folder / "Annotations/b.xml").unlink(),
        "pictures without an XML file, left out: 1, such as JPEGImages/b.png",
    ),
}


@pytest.mark.parametrize("fault", VOC_FAULTS)
def test_odd_files_of_voc_are_named_and_the_others_kept(tmp_path: Path, fault: str) -> None:
    change, said = VOC_FAULTS[fault]
    change(save_boxed_voc(tmp_path))
    examples = voc(tmp_path)
    assert any(said in note for note in examples.notes), examples.notes
    others = [boxes for name, boxes in BOXES.items() if name != "b.png"]
    assert [boxes for boxes in edges(examples.target("boxes")) if boxes] == [boxes for boxes in others if boxes]


def test_two_annotations_of_one_picture_are_refused(tmp_path: Path) -> None:
    save_boxed_voc(tmp_path)
    text = (tmp_path / "Annotations/a.xml").read_text()
    (tmp_path / "Annotations/again.xml").write_text(text)
    with pytest.raises(DataError, match=r"Annotations/a\.xml and Annotations/again\.xml are both of JPEGImages/a\.png"):
        voc(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "path: .\ntrain: images/train\nnames:\n  0: dog\n  1: cat\n",
        "train: ../images/train\nnc: 2\nnames: [dog, cat]\n",  # as Roboflow writes it
        "path: /nowhere/at/all\ntrain: [images/train]\nnames: [dog, cat]\n",
        "train: train.txt\nnames: [dog, cat]\n",
    ],
)
def test_the_yaml_of_yolo_in_its_forms(tmp_path: Path, text: str) -> None:
    save_boxed_yolo(tmp_path)
    (tmp_path / "data.yaml").write_text(text)
    (tmp_path / "train.txt").write_text("".join(f"./images/train/{name}\n" for name in BOXES))
    for source in (tmp_path, tmp_path / "data.yaml"):
        examples, _ = read_examples(source, Columns())
        assert edges(examples.target("boxes")) == list(BOXES.values())
        assert examples.column("part") == ["train"] * 4


def test_folders_of_parts_without_a_yaml_and_a_file_of_names(tmp_path: Path) -> None:
    save_boxed_yolo(tmp_path)
    (tmp_path / "data.yaml").unlink()
    examples, _ = read_examples(tmp_path, Columns())
    assert {box["label"] for row in examples.target("boxes") for box in row} == {"0", "1"}
    assert any("they are called by their numbers" in note for note in examples.notes)
    (tmp_path / "classes.txt").write_text("dog\ncat\n")
    assert edges(yolo(tmp_path).target("boxes")) == list(BOXES.values())


def test_labels_beside_their_pictures_and_outlines(tmp_path: Path) -> None:
    save_pictures(tmp_path, ["a.png", "c.png"])
    (tmp_path / "a.txt").write_text("1 0.1 0.2 0.3 0.2 0.3 0.6 0.1 0.6\n")
    (tmp_path / "classes.txt").write_text("dog\ncat\n")
    examples, _ = read_examples(tmp_path, Columns())
    assert edges(examples.target("boxes")) == [[("cat", 4, 6, 12, 18)], []]
    assert any(
        "without a label file, taken for pictures without objects: 1, such as c.png" in n for n in examples.notes
    )


def test_a_part_without_any_label_file_is_no_part_without_objects(tmp_path: Path) -> None:
    save_boxed_yolo(tmp_path)
    save_pictures(tmp_path / "images/test", ["a.png"])
    (tmp_path / "data.yaml").write_text("train: images/train\ntest: images/test\nnames: [dog, cat]\n")
    examples = yolo(tmp_path)
    assert len(examples) == 4
    assert told(examples) == ["pictures of parts without any label file, left out: 1, such as images/test/a.png"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            written("labels/train/b.txt", "0 .1 .15 .2 .3\n2 .5 .5 .2 .2\n"),
            "b.txt, line 2: class 2 has no name; data.yaml",
        ),
        (
            lambda folder: [
                written(f"labels/train/{name}.txt", f"{k} .5 .5 .2 .2\n")(folder) for k, name in enumerate("abcd", 1)
            ],
            "The numbers seem to start at 1, and YOLO's start at 0",
        ),
        (replaced("data.yaml", "nc: 2", "nc: 3"), "says nc: 3 and names 2 classes: dog, cat"),
        (replaced("data.yaml", "names: [dog, cat]", "names: dog"), "expected a list of class names"),
        (replaced("data.yaml", "names: [", "names: [["), "data.yaml cannot be read: while parsing"),
        (replaced("data.yaml", "images/train", "images/trian"), "data.yaml names images/trian, which is not there"),
        (
            lambda folder: [written(f"labels/train/{name}.txt", "0 0.1 0.1 0.8 0.9\n")(folder) for name in "abcd"],
            "fit their pictures as xyxy and not as cxcywh, .* --set format.box=xyxy",
        ),
    ],
)
def test_what_would_make_other_boxes_of_yolo_is_refused(tmp_path: Path, change: Change, said: str) -> None:
    change(save_boxed_yolo(tmp_path))
    with pytest.raises(DataError, match=said):
        yolo(tmp_path)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0 10 20 30 40", "line 1: 10 20 30 40 are no shares of the picture's width and height"),
        ("0 .5 .5 .2 .2 .97", "line 1 has 6 numbers; .* the sixth looks like a confidence"),
        ("dog .5 .5 .2 .2", "line 1: 'dog .5 .5 .2 .2' is not a class and numbers"),
        ("0 .5 .5 .2 nan", "line 1: .5 .5 .2 nan are no shares"),
        ("0.5 .5 .5 .2 .2", "the class 0.5 is no whole number"),
    ],
)
def test_a_label_file_that_is_none_is_left_out_with_its_picture(tmp_path: Path, line: str, said: str) -> None:
    (save_boxed_yolo(tmp_path) / "labels/train/b.txt").write_text(line + "\n")
    examples = yolo(tmp_path)
    (note,) = told(examples)
    assert "label files that cannot be read, with their pictures, left out: 1, such as labels/train/b.txt" in note
    assert re.search(said, note), note
    assert len(examples) == 3


def test_yolo_needs_to_be_told_how_boxes_lie_over_turned_pictures(tmp_path: Path) -> None:
    save_boxed_yolo(tmp_path)
    picture = tmp_path / "images/train/b.png"
    exif = Image.Exif()
    exif[274] = 6
    Image.open(picture).copy().save(picture, exif=exif)
    with pytest.raises(DataError, match=r"--set format\.exif=stored turns the boxes"):
        yolo(tmp_path)
    assert edges(Yolo(exif="stored").read(tmp_path, Columns()).target("boxes"))[1] == [("dog", 21, 0, 30, 8)]


def test_sequences_of_mot_are_groups_with_tracks(tmp_path: Path) -> None:
    save_boxed_mot(tmp_path)
    gt = tmp_path / "one" / "gt" / "gt.txt"
    gt.write_text(gt.read_text() + "2,9,1,1,5,5,0,8,1.0\n")
    examples, seen = read_examples(tmp_path, Columns())
    assert seen == "2 sequences of MOT Challenge" and examples.schema.group
    assert examples.column(examples.schema.group) == ["one"] * 4 + ["two"] * 4
    places = [[box[1:] for box in row] for row in edges(examples.target("boxes"))]
    expected = [[box[1:] for box in boxes] for boxes in BOXES.values()]
    assert places == [expected[0], [*expected[1], (1, 1, 6, 6)], *expected[2:], *expected]
    assert [(box["label"], box["crowd"], box["track"]) for box in examples.target("boxes")[1]] == [
        ("pedestrian", False, 1),
        ("8", True, 9),
    ]
    alone, _ = read_examples(tmp_path / "two", Columns())
    assert alone.column(str(alone.schema.group)) == ["two"] * 4
