"""What files say of their sizes is checked before memory is taken for it."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headstart.contracts.format import Columns
from headstart.formats._shapes import drawn
from headstart.formats.coco import Coco
from headstart.formats.dicom import Dicom
from headstart.formats.nifti import Nifti
from headstart.kernel.errors import DataError
from headstart.verbs.inspect import inspect
from scans import save_coco, save_dicom, save_nifti


def with_sizes(path: Path, *sizes: int) -> None:
    """Write other sizes into the header of a scan."""
    content = bytearray(gzip.decompress(path.read_bytes()))
    struct.pack_into("<8h", content, 40, len(sizes), *sizes, *([1] * (7 - len(sizes))))
    path.write_bytes(gzip.compress(bytes(content)) if path.suffix == ".gz" else bytes(content))


def test_coco_sizes_must_be_those_of_the_pictures(tmp_path: Path) -> None:
    path = save_coco(tmp_path, range(3)) / "instances.json"
    content = json.loads(path.read_text())
    content["images"][1] |= {"height": 30000, "width": 30000}
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"instances\.json gives images/1\.png 30000x30000 pixels; it has 32x32"):
        Coco().read(tmp_path, Columns())


@pytest.mark.slow
def test_a_polygon_over_a_large_picture_is_drawn_in_bands_without_a_seam() -> None:
    height, width = 5000, 600
    inside = drawn([[0, 0, width, 0, 0, height]], height, width).inside
    whole = np.array([np.count_nonzero(row) for row in inside])
    down = np.arange(height) + 0.5
    assert np.abs(whole - width * (1 - down / height)).max() <= 1
    assert (np.diff(whole) <= 0).all()


@pytest.mark.parametrize("sizes", [(2048, 2048, 2000), (0, 24, 3), (-1, 24, 3)])
def test_scans_hold_the_voxels_that_their_headers_tell_of(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    pytest.importorskip("nibabel", reason="NIfTI needs the extra 'medical'")
    save_nifti(tmp_path, ["one"])
    with_sizes(tmp_path / "imagesTr/one_0000.nii.gz", *sizes)
    with pytest.raises(DataError, match=rf"one_0000\.nii\.gz .* {'x'.join(map(str, sizes))} voxels"):
        Nifti().read(tmp_path, Columns())


def test_large_scans_are_unpacked_and_counted(tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel", reason="NIfTI needs the extra 'medical'")
    path = tmp_path / "zeros.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((512, 512, 40), np.int16), np.eye(4)), path)  # 20 MB of 20 KB
    with gzip.open(path) as file:
        content = bytearray(file.read())
    struct.pack_into("<4h", content, 40, 3, 512, 512, 520)  # less than so many bytes could stand for
    path.write_bytes(gzip.compress(bytes(content)) + b"\0" * 250_000)
    with pytest.raises(DataError, match="512x512x520 voxels, 272630112 bytes; it holds at most 20971872"):
        Nifti().read(path, Columns(), labelled=False)


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"Rows": 65535}, "tells of 24x65535 pixels, 3145680 bytes; it holds 1152"),
        ({"Rows": 65535, "Columns": 65535}, "at most 178956970 are allowed"),
        ({"NumberOfFrames": 10**9}, "1000000000 frames"),
    ],
)
def test_slices_hold_the_pixels_that_their_headers_tell_of(tmp_path: Path, tags: dict[str, Any], said: str) -> None:
    pytest.importorskip("pydicom", reason="DICOM needs the extra 'medical'")
    save_dicom(tmp_path, ["one"], **tags)
    with pytest.raises(DataError, match=rf"\.dcm .*{said}"):
        Dicom().read(tmp_path, Columns())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ImagePositionPatient", [1, 2]),
        ("ImageOrientationPatient", [1, 2]),
        ("PixelSpacing", [1]),
        ("WindowCenter", "nan"),
        ("RescaleSlope", "nan"),
    ],
)
def test_fields_of_a_slice_that_are_no_numbers_are_named(tmp_path: Path, name: str, value: Any) -> None:
    pytest.importorskip("pydicom", reason="DICOM needs the extra 'medical'")
    given = {"WindowCenter": 40, "WindowWidth": 400} if name.startswith("Window") else {}
    save_dicom(tmp_path, ["one"], **{**given, name: value})
    with pytest.raises(DataError, match=rf"\.dcm: {name} is .*expected"):
        Dicom().read(tmp_path, Columns())


def png(width: int, height: int, *more: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"".join([b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), *more, chunk(b"IDAT", zlib.compress(b"\0" * 99))])


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_pictures_that_would_burst_are_named_and_counted(tmp_path: Path) -> None:
    tags = ((256, 100000), (257, 100000), (258, 8), (262, 1), (273, 8))
    odd = {
        "large.png": png(60000, 60000),
        "text.png": png(24, 24, chunk(b"zTXt", b"k\0\0" + zlib.compress(b"a" * (1 << 24)))),
        "large.tif": b"II*\0\x08\0\0\0"
        + struct.pack("<H", 5)
        + b"".join(struct.pack("<HHII", t, 4, 1, v) for t, v in tags),
        "flags.dds": b"DDS " + struct.pack("<7I", 124, 0x1007, 32, 32, 0, 0, 0) + bytes(200),
    }
    for label in ("cats", "dogs"):
        (tmp_path / label).mkdir()
        Image.new("RGB", (24, 24), "red" if label == "cats" else "blue").save(tmp_path / label / "one.png")
    for name, content in odd.items():
        (tmp_path / "cats" / name).write_bytes(content)
    found = inspect(tmp_path)
    assert {trouble.origin for trouble in found.unreadable} == {f"cats/{name}" for name in odd}
