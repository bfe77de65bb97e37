"""Every format recognises its own data and nobody else's, and reads them the same whichever way it is asked."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from plugins import every, sample_for

from boxed_pictures import save_box_table, save_boxed_mot, save_boxed_voc, save_boxed_yolo
from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.contracts.left_out import LeftOut
from headstart.contracts.modality import raws_of
from headstart.kernel import registry
from headstart.kernel.errors import DataError
from headstart.kernel.user_settings import build
from masked_pictures import save_pairs
from scans import save_coco, save_dicom, save_nifti
from small_sounds import save_tone
from small_videos import save_video

FORMATS = registry.names("formats")


@dataclass(frozen=True)
class Sample:
    """The same kind of data with labels, without, and with nothing of it inside."""

    labelled: Any
    unlabelled: Any
    empty: Any
    columns: Columns
    """The columns as a finished fit knows them."""
    dirty: Any
    """Labelled data among what is not an example: other and hidden files, blank lines, comments, half a pair."""
    inputs: int
    """Examples in the dirty data and all beside them that may be meant as inputs."""


def sample_of(name: str, folder: Path) -> Sample:
    needs = "a function that writes labelled, unlabelled and empty data of this format"
    folder.mkdir(parents=True, exist_ok=True)
    return sample_for("formats", name, folder, SAMPLES, Sample, needs=needs)


def _image_folder(folder: Path) -> Sample:
    places = [f"{label}/{number}.png" for label in ("cat", "a dog") for number in (10, 9, 2)] + ["cat/deep/1.png"]
    for seed, place in enumerate(places):
        for root, path in (("labelled", place), ("unlabelled", place.replace("/", "-"))):
            _picture(folder / root / path, seed)
    (folder / "empty").mkdir()
    dirty = shutil.copytree(folder / "labelled", folder / "dirty")
    _rubbish(dirty, "about.md", "cat/labels.csv", "cat/1.heic~", "cat/._1.png", ".thumbnails/1.png", "cat/Thumbs.db")
    (dirty / "a dog" / "again").symlink_to(dirty / "cat", target_is_directory=True)  # holds no input of its own
    return Sample(folder / "labelled", folder / "unlabelled", folder / "empty", Columns(), dirty, 7 + 5)


def _audio_folder(folder: Path) -> Sample:
    for pitch, place in enumerate(("yes/a.wav", "yes/b.flac", "no no/c.ogg", "no no/deep/d.mp3"), 300):
        for root, path in (("labelled", place), ("unlabelled", place.replace("/", "-"))):
            save_tone(folder / root / path, pitch)
    (folder / "empty").mkdir()
    dirty = shutil.copytree(folder / "labelled", folder / "dirty")
    save_tone(dirty / "e.wav")
    _rubbish(dirty, "README", "yes/a.lab", "yes/._a.wav")
    return Sample(folder / "labelled", folder / "unlabelled", folder / "empty", Columns(), dirty, 4 + 4)


def _transcripts(folder: Path) -> Sample:
    said = {"11-1-0000": "ONE TWO", "11-1-0001": "THREE", "12-7-0000": "FOUR FIVE"}
    for root in ("labelled", "unlabelled", "dirty"):
        for name in said:
            save_tone(folder / root / name[:2] / f"{name}.flac", 300 + int(name[-1]) + int(name[:2]))
        for speaker in ("11", "12"):
            lines = [f"{name} {words}" for name, words in said.items() if name.startswith(speaker)]
            text = "\n".join(lines) if root != "unlabelled" else ""
            _rubbish(folder / root, f"{speaker}/{speaker}.trans.txt", content=text + "\n")
    (folder / "empty").mkdir()
    dirty = folder / "dirty"
    save_tone(dirty / "12" / "12-7-0001.flac")
    _rubbish(dirty, "README", "11/._11-1-0000.flac")
    with open(dirty / "11" / "11.trans.txt", "a", encoding="utf-8") as file:
        file.write("11-1-0009 LOST\n")
    return Sample(folder / "labelled", folder / "unlabelled", folder / "empty", Columns(), dirty, 3 + 1 + 2 + 1)


def _table(folder: Path) -> Sample:
    texts = ["I loved every minute of it", "what a waste of time", "not bad, not good", "twice a day, every day"]
    rows = [[text, label, camera] for text, label, camera in zip(texts, ("good", "bad", "good", "bad"), "xyxy")]
    _csv(folder / "labelled.csv", ["review", "label", "camera"], rows)
    _csv(folder / "unlabelled.csv", ["review", "camera", "lens"], [[text, camera, camera] for text, _, camera in rows])
    _csv(folder / "empty.csv", ["review", "label"], [])
    columns = Columns(text=("review",), label="label", slices=("camera",))
    dirty = folder / "dirty"
    for part, row in (("train", "\n\nfine,good,x\n\nbad,bad,y\nfine,good,x\n"), ("test", "so so,good,y\n\n")):
        _rubbish(dirty, f"{part}.csv", content=f"review,label,camera\n{row}")
    _rubbish(dirty, "val.csv", content="review,camera\nnot judged,x\n")
    _rubbish(dirty, "more.csv.gz", "README", ".train.csv.swp")
    # 4 rows with a label, 1 without the column, 3 blank lines before rows, 3 files
    unlabelled = folder / "unlabelled.csv"
    return Sample(folder / "labelled.csv", unlabelled, folder / "empty.csv", columns, dirty, 4 + 1 + 3 + 3)


def _conll(folder: Path) -> Sample:
    sentences = (("I B-x", "am O"), ("Ann B-person", "Lee I-person", "sings O"), ("rain O", "over O", "Rome B-place"))
    tagged = "\n\n".join("\n".join(lines) for lines in sentences)
    (folder / "labelled.conll").write_text(tagged + "\n")
    (folder / "unlabelled.conll").write_text("\n".join(line.partition(" ")[0] for line in tagged.split("\n")))
    (folder / "empty.conll").write_text("-DOCSTART- O\n\n")
    columns = Columns(text=("text",), label="spans")
    words = "-DOCSTART- -X- O\n\n# id 1\n\n\n1 Ann B-person\n2 sings O\n\n# id 2\n# text\n1-2 im O\n1 in O\n2 dem O\n"
    _rubbish(folder / "dirty", "train.conll", content=words + "\n\n\n")
    _rubbish(folder / "dirty", "test.conll", content="1 Rome B-place\n2 rains O\n")
    _rubbish(folder / "dirty", "LICENSE", ".test.conll")
    files = (folder / f"{name}.conll" for name in ("labelled", "unlabelled", "empty"))
    return Sample(*files, columns, folder / "dirty", 3 + 3 + 1 + 2)


def _mask_folder(folder: Path) -> Sample:
    save_pairs(folder / "labelled", range(5))
    save_pairs(folder / "unlabelled", range(5))
    for mask in (folder / "unlabelled" / "masks").iterdir():
        mask.unlink()
    (folder / "empty" / "images").mkdir(parents=True)
    (folder / "empty" / "masks").mkdir()
    dirty = shutil.copytree(folder / "labelled", folder / "dirty")
    _rubbish(dirty, "images/notes.txt", "images/._1.png", "masks/1.npy", "classes.txt", content="background\na\nb\n")
    (dirty / "images").rename(dirty / "imagesTr")
    (dirty / "masks").rename(dirty / "labelsTr")
    _picture(dirty / "imagesTs" / "one.png", 0)
    return Sample(folder / "labelled", folder / "unlabelled", folder / "empty", Columns(), dirty, 5 + 3 + 1)


def _coco(folder: Path) -> Sample:
    for name in ("labelled", "unlabelled"):
        save_coco(folder / name, range(4), shapes=name == "labelled")
    (folder / "empty").mkdir()
    dirty = save_coco(folder / "dirty", range(4))
    for name in ("more.png", "._0.png"):
        _picture(dirty / "images" / name, 9)
    return Sample(folder / "labelled", folder / "unlabelled", folder / "empty", Columns(), dirty, 4 + 2)


def _box_table(folder: Path) -> Sample:
    tables = [save_box_table(folder / name, boxes=name == "labelled") for name in ("labelled", "unlabelled")]
    _csv(folder / "empty.csv", ["filename", "class", "xmin", "ymin", "xmax", "ymax"], [])
    dirty = save_box_table(folder / "dirty")
    (folder / "dirty" / "b.png").unlink()
    return Sample(*tables, folder / "empty.csv", Columns(), dirty, 3 + 1)


def _voc(folder: Path) -> Sample:
    for name in ("labelled", "unlabelled"):
        save_boxed_voc(folder / name, objects=name == "labelled")
    (folder / "empty").mkdir()
    dirty = save_boxed_voc(folder / "dirty")
    _picture(dirty / "JPEGImages" / "more.png", 9)
    _rubbish(dirty, "Annotations/broken.xml", content="<annotation><object>")
    _rubbish(dirty, "README", "Annotations/.b.xml", "JPEGImages/._a.png")
    return Sample(folder / "labelled", folder / "unlabelled", folder / "empty", Columns(), dirty, 4 + 5)


def _mot(folder: Path) -> Sample:
    for name in ("labelled", "unlabelled"):
        save_boxed_mot(folder / name, boxes=name == "labelled")
    (folder / "empty").mkdir()
    dirty = save_boxed_mot(folder / "dirty")
    (dirty / "one" / "img1" / "000001.png").rename(dirty / "one" / "cover.png")
    _rubbish(dirty, "one/README", "two/seqinfo.ini", "two/.DS_Store")
    return Sample(folder / "labelled", folder / "unlabelled", folder / "empty", Columns(), dirty, 7 + 3)


def _video(folder: Path) -> Sample:
    pytest.importorskip("cv2", reason="video needs the extra 'video'")
    for name in ("labelled/one/a", "labelled/two/b", "unlabelled/a", "unlabelled/b"):
        save_video(folder / f"{name}.mp4", seed=ord(name[-1]), frames=22)
    (folder / "empty").mkdir()
    dirty = shutil.copytree(folder / "labelled", folder / "dirty")
    _rubbish(dirty, "one/c.mp4", "one/c.doc", "two/._b.mp4")
    return Sample(folder / "labelled", folder / "unlabelled", folder / "empty", Columns(), dirty, 6 + 3)


def _yolo(folder: Path) -> Sample:
    for name in ("labelled", "unlabelled"):
        save_boxed_yolo(folder / name, labels=name == "labelled")
    (folder / "empty").mkdir()
    dirty = save_boxed_yolo(folder / "dirty")
    _picture(dirty / "images" / "other" / "more.png", 9)
    _rubbish(dirty, "labels/train/lone.txt", content="0 .5 .5 .5 .5\n")
    _rubbish(dirty, "README", "labels/train.cache", "images/train/._a.png")
    return Sample(folder / "labelled", folder / "unlabelled", folder / "empty", Columns(), dirty, 4 + 4)


def _nifti(folder: Path) -> Sample:
    pytest.importorskip("nibabel", reason="NIfTI needs the extra 'medical'")
    for name in ("labelled", "unlabelled"):
        save_nifti(folder / name, ["one", "two"], masks=name == "labelled")
    (folder / "empty").mkdir()
    dirty = save_nifti(folder / "dirty", ["one", "two"])
    shutil.copytree(dirty / "imagesTr", dirty / "imagesTs")
    shutil.copy(dirty / "labelsTr" / "one.nii.gz", dirty / "labelsTr" / "three.nii.gz")
    _rubbish(dirty, "one.nrrd", "imagesTr/._one_0000.nii.gz", "imagesTr/one_0000.json", ".DS_Store")
    return Sample(folder / "labelled", folder / "unlabelled", folder / "empty", Columns(), dirty, 6 + 2 + 1 + 3)


def _dicom(folder: Path) -> Sample:
    pytest.importorskip("pydicom", reason="DICOM needs the extra 'medical'")
    for name in ("labelled", "unlabelled"):
        save_dicom(folder / name, ["Ann", "Bob"], masks=name == "labelled")
    (folder / "empty").mkdir()
    dirty = save_dicom(folder / "dirty", ["Ann", "Bob"])
    save_dicom(dirty / "reports", ["Cy"], masks=False, numbers=(0,), Rows=None)
    bare = dirty / "images" / "Ann" / "1.dcm"
    bare.write_bytes(bare.read_bytes()[132:])
    _picture(dirty / "masks" / "Ann" / "9.png", 0)
    _rubbish(dirty, "DICOMDIR", "images/Ann/._1.dcm", "images/Ann/1.txt", "images/noise")
    return Sample(folder / "labelled", folder / "unlabelled", folder / "empty", Columns(), dirty, 6 + 1 + 1 + 4)


def _text_folder(folder: Path) -> Sample:
    for number, place in enumerate(("good/a.txt", "good/b.txt", "so so/c.txt", "so so/deep/d.txt")):
        for root, path in (("labelled", place), ("unlabelled", place.replace("/", "-"))):
            _rubbish(folder / root, path, content=f"words of the text {number}")
    (folder / "empty").mkdir()
    for part in ("train", "test"):
        shutil.copytree(folder / "labelled", folder / "dirty" / part)
    _rubbish(folder / "dirty", "README", "train/urls.txt", "train/unsup/e.txt", "test/unsup/f.txt", "test/good/.g.txt")
    (folder / "dirty" / "train" / "good" / "h.txt").write_bytes(b"PK\x03\x04 words")
    return Sample(folder / "labelled", folder / "unlabelled", folder / "empty", Columns(), folder / "dirty", 8 + 6)


def _parallel_text(folder: Path) -> Sample:
    texts = {"en": ("a cat\n\u2028b dog\nc bird\n"), "de": "eine Katze\nein Hund\nein Vogel\n"}
    for language, content in texts.items():
        _rubbish(folder / "labelled", f"train.{language}", f"test_1.{language}", content=content)
    _rubbish(folder / "unlabelled", "train.en", "test_1.en", content=texts["en"])
    _rubbish(folder / "empty", "train.en", "train.de", content="\n\n")
    dirty = shutil.copytree(folder / "labelled", folder / "dirty")
    _rubbish(dirty, "val.en", content="x\n\ny\n")
    _rubbish(dirty, "val.de", content="u\nv\n \n")
    _rubbish(dirty, "test_2.en", "README", ".train.en")
    columns = Columns(text=("en",), label="de")
    # a pair of val is whole, two are not; test_2 has no partner
    return Sample(folder / "labelled", folder / "unlabelled", folder / "empty", columns, dirty, 6 + 3 + 1 + 1)


def _interactions(folder: Path) -> Sample:
    rows = [[user, item, rating] for user, item, rating in zip("aabbbccad", "xyxyzzyzx", "341234555")]
    _csv(folder / "labelled.csv", ["user_id", "item_id", "rating"], rows)
    _csv(folder / "unlabelled.csv", ["user_id", "item_id"], [row[:2] for row in rows])
    _csv(folder / "empty.csv", ["user_id", "item_id", "rating"], [])
    _rubbish(folder, "dirty.csv", content="user_id,item_id,rating\na,x,1\n\na,,2\n,y,2\nb,y,3\n")
    # 2 users, a blank line, 2 rows of half a pair
    unlabelled, dirty = folder / "unlabelled.csv", folder / "dirty.csv"
    return Sample(folder / "labelled.csv", unlabelled, folder / "empty.csv", Columns(), dirty, 2 + 1 + 2)


WITHOUT_LABELS = ("interactions",)
"""Formats whose targets are made by a task."""

labelled_formats = pytest.mark.parametrize("name", [name for name in FORMATS if name not in WITHOUT_LABELS])

SAMPLES: dict[str, Callable[[Path], Sample]] = {
    "audio_folder": _audio_folder,
    "box_table": _box_table,
    "coco": _coco,
    "conll": _conll,
    "dicom": _dicom,
    "image_folder": _image_folder,
    "interactions": _interactions,
    "mask_folder": _mask_folder,
    "mot": _mot,
    "nifti": _nifti,
    "parallel_text": _parallel_text,
    "table": _table,
    "text_folder": _text_folder,
    "transcripts": _transcripts,
    "video": _video,
    "voc": _voc,
    "yolo": _yolo,
}


@every("formats")
def test_it_recognises_its_own_data(name: str, tmp_path: Path) -> None:
    data = sample_of(name, tmp_path)
    for source in (data.labelled, data.unlabelled):
        words = registry.plugin("formats", name).recognises(source)
        assert isinstance(words, str) and words.strip() and "\n" not in words


@pytest.mark.parametrize(("name", "other"), [(one, two) for one in FORMATS for two in FORMATS if one != two])
def test_it_leaves_the_data_of_other_formats_alone(name: str, other: str, tmp_path: Path) -> None:
    if getattr(registry.plugin("formats", other), "narrows", None) == name:
        pytest.skip(f"{other} takes precedence over {name}")
    data = sample_of(other, tmp_path)
    for source in (data.labelled, data.unlabelled):
        assert registry.plugin("formats", name).recognises(source) is None


@every("formats")
@pytest.mark.parametrize("source", [None, 7, "", "nowhere/at/all", b"bytes", [], {}, object()])
def test_it_recognises_nothing_in_what_is_no_data(name: str, source: Any) -> None:
    assert registry.plugin("formats", name).recognises(source) is None


@every("formats")
def test_reading_twice_gives_the_same_rows(name: str, tmp_path: Path) -> None:
    source = sample_of(name, tmp_path).labelled
    one, again = read(name, source), read(name, source)
    assert one.table.equals(again.table)
    assert one.schema == again.schema and one.notes == again.notes


@every("formats")
def test_the_order_depends_on_the_data_not_on_the_disk(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = sample_of(name, tmp_path).labelled
    before = read(name, source).origins()
    listdir, scandir = os.listdir, os.scandir
    monkeypatch.setattr(os, "listdir", lambda *path: sorted(listdir(*path), reverse=True))
    monkeypatch.setattr(os, "scandir", lambda *path: Backwards(scandir(*path)))
    assert read(name, source).origins() == before


class Backwards:
    """What a disk that lists its names the other way round gives."""

    def __init__(self, entries: Iterable[os.DirEntry[str]]) -> None:
        self.entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

    def __enter__(self) -> Backwards:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self) -> Iterator[os.DirEntry[str]]:
        return iter(self.entries)


@labelled_formats
def test_examples_have_inputs_labels_and_origins_of_their_own(name: str, tmp_path: Path) -> None:
    examples = read(name, sample_of(name, tmp_path).labelled)
    assert len(examples) == len(raws_of(examples)) >= 3
    assert len({repr(value) for value in examples.target(next(iter(examples.schema.targets)))}) >= 2
    assert len(set(examples.origins())) == len(examples)
    rows = [2, 0]
    assert examples.take(rows).origins() == [examples.origins()[row] for row in rows]
    assert raws_of(examples, rows) == [raws_of(examples)[row] for row in rows]


@every("formats")
@pytest.mark.parametrize("rows", [1, 2, 100])
def test_the_stream_equals_reading_without_labels(name: str, rows: int, tmp_path: Path) -> None:
    data = sample_of(name, tmp_path)
    for source in (data.labelled, data.unlabelled):
        whole = read(name, source, labelled=False)
        parts = list(registry.plugin("formats", name)().stream(source, Columns(), rows))
        assert all(1 <= len(part) <= rows for part in parts)
        assert [raw for part in parts for raw in raws_of(part)] == raws_of(whole)
        assert [origin for part in parts for origin in part.origins()] == whole.origins()
        assert all(part.schema.inputs == whole.schema.inputs for part in parts)
        assert all(part.schema.modality == whole.schema.modality for part in parts)
        assert all(not part.schema.targets for part in parts)


@every("formats")
def test_without_labels_the_same_inputs_are_read(name: str, tmp_path: Path) -> None:
    data = sample_of(name, tmp_path)
    labelled, ignored = read(name, data.labelled), read(name, data.labelled, labelled=False)
    assert raws_of(ignored) == raws_of(labelled)
    bare = read(name, data.unlabelled, labelled=False)
    assert len(bare) == len(labelled) and bare.schema.modality == labelled.schema.modality
    assert not bare.schema.targets
    with pytest.raises(DataError, match="unlabelled"):
        bare.target()


@labelled_formats
def test_labels_that_are_wanted_and_missing_are_an_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="label"):
        read(name, sample_of(name, tmp_path).unlabelled)


@every("formats")
def test_data_without_examples_are_an_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        read(name, sample_of(name, tmp_path).empty)


@every("formats")
def test_every_input_is_used_or_counted(name: str, tmp_path: Path) -> None:
    data = sample_of(name, tmp_path)
    examples = read(name, data.dirty)
    counted = left_out_of(examples)
    assert counted and len(examples) + sum(note.number for note in counted) == data.inputs, counted
    assert all(str(note.number) in note for note in counted)


@every("formats")
@pytest.mark.parametrize("rows", [1, 100])
def test_the_end_of_a_stream_tells_of_all_that_was_left_out(name: str, rows: int, tmp_path: Path) -> None:
    source = sample_of(name, tmp_path).dirty
    parts = list(registry.plugin("formats", name)().stream(source, Columns(), rows))
    whole = read(name, source, labelled=False)
    assert sum(map(len, parts)) == len(whole)
    assert left_out_of(parts[-1]) == left_out_of(whole) != []


def left_out_of(examples: Examples) -> list[LeftOut]:
    return [note for note in examples.notes if isinstance(note, LeftOut)]


@every("formats")
def test_columns_of_a_saved_model_read_the_same_examples(name: str, tmp_path: Path) -> None:
    data = sample_of(name, tmp_path)
    columns = build(Columns, json.loads(json.dumps(data.columns.model_dump(mode="json"))), where="columns")
    assert columns == data.columns
    plain = read(name, data.labelled)
    named = read(name, data.labelled, columns)
    assert raws_of(named) == raws_of(plain) and all(
        named.target(key) == plain.target(key) for key in plain.schema.targets
    )
    assert named.schema.inputs == plain.schema.inputs and named.schema.targets == plain.schema.targets
    bare = read(name, data.unlabelled, columns, labelled=False)
    assert raws_of(bare) == raws_of(read(name, data.unlabelled, labelled=False))


def read(name: str, source: Any, columns: Columns | None = None, *, labelled: bool = True) -> Examples:
    examples: Examples = registry.plugin("formats", name)().read(source, columns or Columns(), labelled=labelled)
    return examples


def _picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def _csv(path: Path, header: list[str], rows: list[list[str]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def _rubbish(folder: Path, *paths: str, content: str = "some words") -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
