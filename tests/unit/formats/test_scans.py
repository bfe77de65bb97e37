"""COCO, NIfTI and DICOM: what comes out has the classes, the spacing and the groups of what went in."""

from __future__ import annotations

import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headstart.contracts.format import Columns
from headstart.contracts.modality import raws_of
from headstart.formats import _dicom_files, _medical
from headstart.formats._shapes import drawn, laid_on
from headstart.formats.coco import Coco
from headstart.formats.dicom import Dicom
from headstart.formats.nifti import Nifti
from headstart.kernel.errors import DataError
from headstart.media.masks import read_mask
from headstart.tasks.segmentation.mask_review import review_masks
from scans import save_coco, save_dicom, save_nifti, volume


def pixels(content: object) -> np.ndarray:
    assert isinstance(content, bytes)
    return np.array(Image.open(io.BytesIO(content)))


def inside_of(shape: object, height: int, width: int) -> np.ndarray:
    return class_map((1, shape), height=height, width=width) == 1


def class_map(*shapes: tuple[int, Any], height: int, width: int) -> np.ndarray:
    found = [(number, drawn(shape, height, width)) for number, shape in shapes]
    return laid_on(found, np.zeros((height, width), np.uint8))


def test_a_polygon_covers_the_pixels_whose_centres_it_holds() -> None:
    inside = inside_of([[2.0, 1.0, 5.0, 1.0, 5.0, 4.0, 2.0, 4.0]], 6, 8)
    expected = np.zeros((6, 8), bool)
    expected[1:4, 2:5] = True
    assert np.array_equal(inside, expected)
    triangle = inside_of([[0.0, 0.0, 8.0, 0.0, 0.0, 8.0]], 8, 8)
    down, across = np.mgrid[:8, :8] + 0.5
    decided = np.abs(down + across - 8) > 0.5
    assert np.array_equal(triangle[decided], (down + across < 8)[decided])


def test_run_lengths_go_down_the_columns() -> None:
    expected = np.zeros((3, 4), bool)
    expected[1:, 1] = expected[0, 2] = True
    assert np.array_equal(inside_of({"size": [3, 4], "counts": [4, 3, 5]}, 3, 4), expected)
    assert np.array_equal(inside_of({"size": [3, 4], "counts": compressed([4, 3, 5])}, 3, 4), expected)


def test_compressed_run_lengths_of_a_real_mask_are_those_of_the_plain_ones() -> None:
    mask = np.random.default_rng(0).random((50, 70)) < 0.3
    flat = mask.T.ravel()
    changes = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *changes, flat.size]).tolist()
    runs = [0, *runs] if flat[0] else runs
    shape = {"size": [50, 70], "counts": compressed(runs)}
    assert np.array_equal(inside_of(shape, 50, 70), mask)


def compressed(runs: list[int]) -> str:
    """As pycocotools' rleToString has it."""
    text = ""
    for k, run in enumerate(runs):
        value, more = run - (runs[k - 2] if k > 2 else 0), True
        while more:
            bits = value & 0x1F
            value >>= 5
            more = value != -1 if bits & 0x10 else value != 0
            text += chr((bits | 0x20 if more else bits) + 48)
    return text


def test_the_smaller_shape_lies_on_top() -> None:
    large, small = [[0, 0, 9, 0, 9, 9, 0, 9]], [[3, 3, 6, 3, 6, 6, 3, 6]]
    assert class_map((2, small), (1, large), height=10, width=10)[4, 4] == 2


def test_parts_of_a_shape_and_what_reaches_over_the_edge_are_drawn_in_their_place() -> None:
    two = [[-3, 1, 2, 1, 2, 4, -3, 4], [6, 5, 20, 5, 20, 20, 6, 20]]
    expected = np.zeros((8, 10), bool)
    expected[1:4, :2] = expected[5:, 6:] = True
    assert np.array_equal(inside_of(two, 8, 10), expected)
    assert not inside_of([[20, 20, 30, 20, 30, 30]], 8, 10).any()
    assert not inside_of({"size": [8, 10], "counts": [80]}, 8, 10).any()


def test_many_small_objects_of_a_large_picture_take_little_memory() -> None:
    corners = [(x, y) for x in range(10, 900, 60) for y in range(10, 900, 60)]
    squares = [(1, [[x, y, x + 8, y, x + 8, y + 8, x, y + 8]]) for x, y in corners]
    tracemalloc.start()
    try:
        found = class_map(*squares, height=1000, width=1000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.sum() == 64 * len(squares)
    assert peak < 5 * found.nbytes  # a whole picture for each of the 225 objects would be 225 of them


def test_coco_becomes_class_masks_with_the_names_of_its_categories(tmp_path: Path) -> None:
    examples = Coco().read(save_coco(tmp_path, range(3)), Columns())
    assert examples.schema.legend == {"0": "background", "1": "stripe", "2": "square"}
    found = [np.unique(read_mask(mask).values).tolist() for mask in examples.target("mask")]
    assert found == [[0, 2], [0, 1, 2], [0, 2]]
    assert examples.origins() == ["images/0.png", "images/1.png", "images/2.png"]


def test_coco_files_of_parts_are_a_given_split(tmp_path: Path) -> None:
    save_coco(tmp_path, range(2), name="instances_train.json")
    save_coco(tmp_path, range(2, 4), name="instances_val.json")
    examples = Coco().read(tmp_path, Columns())
    assert examples.column("part") == ["train", "train", "val", "val"]


def test_a_picture_that_coco_names_and_that_is_missing_is_named(tmp_path: Path) -> None:
    save_coco(tmp_path, range(2))
    (tmp_path / "images" / "1.png").unlink()
    with pytest.raises(DataError, match=r"pictures are missing: 1\.png"):
        Coco().read(tmp_path, Columns())


def test_an_annotation_of_no_picture_is_named(tmp_path: Path) -> None:
    path = save_coco(tmp_path, range(2)) / "instances.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["image_id"] = 99
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="annotation 0 is of picture 99"):
        Coco().read(tmp_path, Columns())


def test_nifti_slices_keep_spacing_classes_and_their_scan(tmp_path: Path) -> None:
    pytest.importorskip("nibabel", reason="NIfTI needs the extra 'medical'")
    examples = Nifti().read(save_nifti(tmp_path, ["one", "two"]), Columns())
    assert examples.origins()[:4] == [f"imagesTr/one_0000/00{k}" for k in range(3)] + ["imagesTr/two_0000/000"]
    assert examples.column("patient") == ["imagesTr/one_0000"] * 3 + ["imagesTr/two_0000"] * 3
    _, classes = volume(0)
    mask = read_mask(examples.target("mask")[1])
    assert mask.spacing == (0.5, 0.7)  # rows run to the front, columns to the right
    assert np.array_equal(mask.values, classes[..., 1].T[::-1])
    assert pixels(raws_of(examples)[1]).shape == (24, 24)


def test_scans_of_one_patient_are_one_group_by_the_expression_or_by_bids(tmp_path: Path) -> None:
    pytest.importorskip("nibabel", reason="NIfTI needs the extra 'medical'")
    sessions = save_nifti(tmp_path / "sessions", ["p1_a", "p1_b", "p2_a"])
    given = Nifti().read(sessions, Columns(group=r"(p\d+)_"))
    assert given.column("patient") == ["p1"] * 6 + ["p2"] * 3
    assert len(given.notes) == 1 and "by its own percentiles 0.5 to 99.5" in given.notes[0]
    unknown = Nifti().read(sessions, Columns())
    assert len(set(unknown.column("patient"))) == 3
    assert unknown.notes[0].startswith("3 of 3 scans each count as a patient of their own")

    bids = Nifti().read(save_nifti(tmp_path / "bids", ["sub-01_ses-1", "sub-01_ses-2", "other"]), Columns())
    assert set(bids.column("patient")[:3]) == {"imagesTr/other_0000"} and bids.column("patient")[3:] == ["sub-01"] * 6
    assert bids.notes[0].startswith("1 of 3 scans")


def test_nifti_is_cut_along_its_largest_voxels(tmp_path: Path) -> None:
    pytest.importorskip("nibabel", reason="NIfTI needs the extra 'medical'")
    examples = Nifti().read(save_nifti(tmp_path, ["one"], spacing=(4.0, 0.5, 0.7)), Columns())
    assert len(examples) == 24 and read_mask(examples.target("mask")[0]).spacing == (0.7, 0.5)


def test_a_label_map_that_lies_elsewhere_than_its_scan_is_refused_and_rounded_affines_are_not(tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel", reason="NIfTI needs the extra 'medical'")
    save_nifti(tmp_path, ["one"], spacing=(3.0, 0.5, 0.7))
    path, scan = tmp_path / "labelsTr" / "one.nii.gz", np.diag([3.0, 0.5, 0.7, 1.0])
    labels = np.asarray(nibabel.load(path).dataobj)
    mirrored, moved, rounded = scan @ np.diag([-1.0, 1, 1, 1]), scan.copy(), scan + 1e-3
    moved[1, 3] = 0.5
    for affine, apart in ((mirrored, "69"), (np.eye(4), "47.4"), (moved, "0.5")):
        nibabel.save(nibabel.Nifti1Image(labels, affine), path)
        with pytest.raises(DataError, match=rf"one\.nii\.gz lies up to {apart} mm beside its scan imagesTr/one_0000"):
            Nifti().read(tmp_path, Columns())
    nibabel.save(nibabel.Nifti1Image(labels, rounded), path)
    masks = Nifti().read(tmp_path, Columns()).target("mask")
    assert np.array_equal(read_mask(masks[1]).values, labels[1].T[::-1])


V1 = {"0": "background", "1": "liver", "2": "tumour"}
V2 = {"background": 0, "liver": 1, "tumour": 2}
REGIONS = {"background": 0, "whole": [1, 2], "core": [2]}
IGNORED = {"background": 0, "liver": 1, "ignore": 2}


@pytest.mark.parametrize(
    ("labels", "legend", "unknown"),
    [
        (V1, {"0": "background", "1": "liver", "2": "tumour"}, ()),
        (V2, {"0": "background", "1": "liver", "2": "tumour"}, ()),
        (REGIONS, {"0": "background", "1": "whole", "2": "whole + core"}, ()),
        (IGNORED, {"0": "background", "1": "liver"}, (2,)),
    ],
)
def test_names_of_dataset_json_are_those_of_the_values(
    tmp_path: Path, labels: dict[str, Any], legend: dict[str, str], unknown: tuple[int, ...]
) -> None:
    pytest.importorskip("nibabel", reason="NIfTI needs the extra 'medical'")
    data = save_nifti(tmp_path, ["one", "two"])
    (data / "dataset.json").write_text(json.dumps({"labels": labels, "numTraining": 2}))
    examples = Nifti().read(data, Columns())
    assert examples.schema.legend == legend and examples.schema.unknown == unknown
    assert any("regions that overlap" in note for note in examples.notes) == (labels == REGIONS)
    assert not review_masks(examples).faults


@pytest.mark.parametrize("labels", [{"a": 0}, ["a"], {"a": "x", "b": 1}, {"a": [1.5], "b": 1}, {"0": None, "1": ["a"]}])
def test_a_damaged_dataset_json_is_named(tmp_path: Path, labels: Any) -> None:
    pytest.importorskip("nibabel", reason="NIfTI needs the extra 'medical'")
    (save_nifti(tmp_path, ["one"]) / "dataset.json").write_text(json.dumps({"labels": labels}))
    try:
        assert Nifti().read(tmp_path, Columns()).schema.legend == {"0": "None", "1": "['a']"}
    except DataError as error:
        assert "dataset.json" in str(error)


@pytest.mark.parametrize("labelled", [False, True])
def test_scans_of_images_ts_are_the_test_part_or_left_out(tmp_path: Path, labelled: bool) -> None:
    pytest.importorskip("nibabel", reason="NIfTI needs the extra 'medical'")
    data = save_nifti(tmp_path / "data", ["one", "two"])
    test = save_nifti(tmp_path / "more", ["one", "three"])  # another scan of the same name
    for folder in ("images", "labels")[: 1 + labelled]:
        (test / f"{folder}Tr").rename(data / f"{folder}Ts")
    examples = Nifti().read(data, Columns())
    origins = {origin.rpartition("/")[0] for origin in examples.origins()}
    training = {f"imagesTr/{name}_0000" for name in ("one", "two")}
    if labelled:
        assert origins == training | {f"imagesTs/{name}_0000" for name in ("one", "three")}
        assert examples.column("part") == ["train"] * 6 + ["test"] * 6
    else:
        assert origins == training and examples.schema.part is None
        assert any(note.startswith("pictures of imagesTs") and ": 2, " in note for note in examples.notes)
    assert len(Nifti().read(data, Columns(), labelled=False)) == 12


def test_a_scan_without_a_label_map_is_named(tmp_path: Path) -> None:
    pytest.importorskip("nibabel", reason="NIfTI needs the extra 'medical'")
    save_nifti(tmp_path, ["one", "two"])
    (tmp_path / "labelsTr" / "two.nii.gz").unlink()
    with pytest.raises(DataError, match=r"1 of 2 scans have no label map: imagesTr/two_0000"):
        Nifti().read(tmp_path, Columns())


def test_dicom_slices_lie_in_their_order_and_belong_to_their_patient(tmp_path: Path) -> None:
    pytest.importorskip("pydicom", reason="DICOM needs the extra 'medical'")
    examples = Dicom().read(save_dicom(tmp_path, ["Ann", "Bob"]), Columns())
    assert examples.origins()[:3] == [f"images/Ann/{k}.dcm" for k in (2, 1, 0)]
    assert examples.schema.group == "patient" and examples.column("patient") == ["Ann"] * 3 + ["Bob"] * 3
    _, classes = volume(0)
    mask = read_mask(examples.target("mask")[0])
    assert np.array_equal(mask.values, classes[..., 2]) and mask.spacing == (0.8, 0.6)
    assert len(examples.notes) == 1 and examples.notes[0].startswith("6 of 6 DICOM slices have no window")


def test_missing_dicom_slices_are_told_of(tmp_path: Path) -> None:
    pytest.importorskip("pydicom", reason="DICOM needs the extra 'medical'")
    examples = Dicom().read(save_dicom(tmp_path, ["Ann"], numbers=(0, 1, 2, 5, 6)), Columns())
    assert "2 slices are missing in 1 places, where neighbours lie up to 9 mm apart" in examples.notes[-1]


def test_dicom_windows_and_inverted_greys_are_heeded(tmp_path: Path) -> None:
    pytest.importorskip("pydicom", reason="DICOM needs the extra 'medical'")
    plain = Dicom().read(save_dicom(tmp_path / "a", ["Ann"], WindowCenter=128, WindowWidth=256), Columns())
    values, _ = volume(0)
    expected = (values[..., 2] * (255 / 256)).round()
    assert np.abs(pixels(raws_of(plain)[0]).astype(int) - expected).max() <= 1
    white = {"WindowCenter": 128, "WindowWidth": 256, "PhotometricInterpretation": "MONOCHROME1"}
    inverted = Dicom().read(save_dicom(tmp_path / "b", ["Ann"], **white), Columns())
    assert np.array_equal(pixels(raws_of(inverted)[0]), 255 - pixels(raws_of(plain)[0]))


def test_each_dicom_slice_has_its_own_window_or_the_most_common_one_of_its_series(tmp_path: Path) -> None:
    pydicom = pytest.importorskip("pydicom", reason="DICOM needs the extra 'medical'")
    folder = save_dicom(tmp_path, ["Ann"], numbers=range(4), WindowCenter=128, WindowWidth=256)
    usual = [pixels(content) for content in Dicom().read(folder, Columns()).column("slice")]
    changes = {"3": {"WindowCenter": 30, "WindowWidth": 60}, "1": {"WindowCenter": None, "WindowWidth": None}}
    for name, tags in changes.items():  # slice 3 lies lowest and comes first
        file = pydicom.dcmread(folder / "images" / "Ann" / f"{name}.dcm")
        for tag, value in tags.items():
            setattr(file, tag, value)
        file.save_as(folder / "images" / "Ann" / f"{name}.dcm")
    found = Dicom().read(folder, Columns())
    first, *others = (pixels(content) for content in found.column("slice"))
    assert (first != usual[0]).any() and all(np.array_equal(*pair) for pair in zip(others, usual[1:]))
    assert "2 different windows, and each is shown by its own" in found.notes[0]
    assert "1 of 4 DICOM slices have no window, such as images/Ann/1.dcm" in found.notes[1]
    given = Dicom(window=(128, 256)).read(folder, Columns())
    assert not given.notes
    assert all(np.array_equal(pixels(content), own) for content, own in zip(given.column("slice"), usual))


def test_a_dicom_slice_without_a_mask_and_one_of_another_size_are_named(tmp_path: Path) -> None:
    pytest.importorskip("pydicom", reason="DICOM needs the extra 'medical'")
    save_dicom(tmp_path, ["Ann"])
    Image.fromarray(np.zeros((5, 7), np.uint8)).save(tmp_path / "masks" / "Ann" / "1.png")
    with pytest.raises(DataError, match=r"masks/Ann/1\.png has 7x5 pixels"):
        Dicom().read(tmp_path, Columns())
    (tmp_path / "masks" / "Ann" / "1.png").unlink()
    with pytest.raises(DataError, match=r"1 of 3 slices have no mask: images/Ann/1\.dcm"):
        Dicom().read(tmp_path, Columns())


def test_whether_files_are_dicom_is_seen_by_a_few_of_each_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    beginning_of = _dicom_files.beginning_of
    monkeypatch.setattr(_dicom_files, "beginning_of", lambda path, n: opened.append(path.name) or beginning_of(path, n))
    for name in (*(f"{k}.jpg" for k in range(9)), *(f"{k}.bin" for k in range(9))):
        (tmp_path / name).write_bytes(b"something else")
    assert Dicom.recognises(tmp_path) is None and opened == ["0.bin", "1.bin", "2.bin"]
    (tmp_path / "series").mkdir()
    for name in ("1.2.840.7", "1.2.840.8", "DICOMDIR"):
        (tmp_path / "series" / name).write_bytes(bytes(128) + b"DICM")
    assert Dicom.recognises(tmp_path) == "2 DICOM slices, 0 of them with a mask"


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize("meta", [True, False])
def test_dicom_files_without_a_preamble_are_read_as_the_others(tmp_path: Path, implicit: bool, meta: bool) -> None:
    pydicom = pytest.importorskip("pydicom", reason="DICOM needs the extra 'medical'")
    whole = Dicom(window=(40, 80)).read(save_dicom(tmp_path / "whole", ["Ann"]), Columns())
    bare = save_dicom(tmp_path / "bare", ["Ann"])
    for path in sorted((bare / "images" / "Ann").iterdir())[:2]:
        found = pydicom.dcmread(path)
        if implicit:
            found.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
        if not meta:
            del found.file_meta
        found.preamble = None
        found.save_as(path, implicit_vr=implicit, little_endian=True)
        assert path.read_bytes()[128:132] != b"DICM"
    for name in ("notes", "noise.7"):
        (bare / name).write_bytes(b"a text without an ending" * 20 if name == "notes" else bytes(range(256)) * 2)
    examples = Dicom(window=(40, 80)).read(bare, Columns())
    assert raws_of(examples) == raws_of(whole) and examples.origins() == whole.origins()
    assert examples.notes == ("files that are neither slices nor masks of them, left out: 2, such as noise.7",)


def deflated(source: Path, path: Path, *, bare: bool, more: int = 0) -> None:
    """Write a slice as one of the deflated transfer syntax, with so many more bytes than its pixels are."""
    import pydicom

    found = pydicom.dcmread(source)
    found.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    if more:
        found.add_new(0x00091001, "OB", bytes(more))
        found.add_new(0x00090010, "LO", "somebody")
    found.save_as(path, enforce_file_format=True)
    if bare:
        path.write_bytes(path.read_bytes()[132:])


@pytest.mark.slow
@pytest.mark.parametrize("bare", [False, True])
def test_deflated_dicom_is_read_as_far_as_it_holds_what_its_header_tells_of(tmp_path: Path, bare: bool) -> None:
    pytest.importorskip("pydicom", reason="DICOM needs the extra 'medical'")
    whole = Dicom(window=(40, 80)).read(save_dicom(tmp_path / "whole", ["Ann"]), Columns())
    data = save_dicom(tmp_path / "packed", ["Ann"])
    source, target = (folder / "images" / "Ann" for folder in (tmp_path / "whole", data))
    for path in source.iterdir():
        deflated(path, target / path.name, bare=bare)
    assert raws_of(Dicom(window=(40, 80)).read(data, Columns())) == raws_of(whole)
    deflated(source / "1.dcm", target / "1.dcm", bare=bare, more=1 << 27)
    assert (target / "1.dcm").stat().st_size < 1 << 18
    tracemalloc.start()
    with pytest.raises(DataError, match=r"1\.dcm cannot be read as DICOM: it unpacks to more than 16777216 bytes"):
        Dicom(window=(40, 80)).read(data, Columns())
    assert tracemalloc.get_traced_memory()[1] < 1 << 25
    tracemalloc.stop()


def test_dicom_files_without_pixels_are_left_out_and_told_of(tmp_path: Path) -> None:
    pytest.importorskip("pydicom", reason="DICOM needs the extra 'medical'")
    save_dicom(tmp_path, ["Ann"])
    save_dicom(tmp_path / "images" / "reports", ["Bob"], masks=False, numbers=(0,), Rows=None)
    examples = Dicom(window=(40, 80)).read(tmp_path, Columns())
    assert len(examples) == 3 and set(examples.column("patient")) == {"Ann"}
    assert examples.notes == ("DICOM files without pixels, left out: 1, such as images/reports/images/Bob/0.dcm",)
    shown = pixels(raws_of(examples)[0]).astype(float)
    assert np.abs(shown - (volume(0)[0][..., 2] * (255 / 80)).clip(0, 255)).max() <= 1


def test_a_missing_library_says_what_to_install() -> None:
    with pytest.raises(DataError, match=r'no_such_library is needed .* pip install "headstart\[medical\]"'):
        _medical.library("no_such_library")
