"""The fast decoder against Pillow: the same pixels, and hands off what Pillow must look at."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headstart.media.images import decode_image, read_pixels
from headstart.media.jpeg import MOST_PIXELS, decode_jpeg

ORIENTATION = 0x0112
COMMENT = 0xFE


def scene(width: int, height: int, seed: int = 0) -> Image.Image:
    """Soft shapes with some noise, so that every part of the coder has work."""
    draws = np.random.default_rng(seed)
    small = Image.fromarray(draws.integers(0, 255, (6, 8, 3), dtype=np.uint8))
    smooth = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
    return Image.fromarray((smooth + draws.integers(-12, 12, smooth.shape)).clip(0, 255).astype(np.uint8))


def jpeg(image: Image.Image, **how: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", **how)
    return file.getvalue()


def same(content: bytes) -> None:
    pixels = decode_jpeg(content)
    assert pixels is not None, "left to Pillow"
    assert pixels.flags["C_CONTIGUOUS"] and pixels.flags["WRITEABLE"]
    assert np.array_equal(pixels, np.asarray(decode_image(content)))


@pytest.mark.parametrize("quality", [20, 75, 90, 100])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True])
def test_full_size_is_bit_equal_to_pillow(quality: int, subsampling: str, progressive: bool) -> None:
    for size in ((97, 61), (64, 64), (1, 1), (17, 200)):
        same(jpeg(scene(*size), quality=quality, subsampling=subsampling, progressive=progressive))


def test_grey_and_restart_markers_and_other_colours_are_bit_equal_too() -> None:
    same(jpeg(scene(50, 40).convert("L")))
    same(jpeg(scene(50, 40), restart_marker_rows=1))
    same(jpeg(scene(50, 40), keep_rgb=True))
    same(jpeg(scene(50, 40), optimize=True, dpi=(300, 300), comment=b"said \xff\xd8 here"))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_turned_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    content = jpeg(scene(60, 41), exif=exif)
    same(content)
    pixels = decode_jpeg(content)
    assert pixels is not None and pixels.shape == ((41, 60, 3) if orientation < 5 else (60, 41, 3))


def test_an_orientation_that_stands_in_xmp_alone_or_far_into_the_file() -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    content = jpeg(scene(60, 41), xmp=xmp)
    same(content)
    exif = Image.Exif()
    exif[ORIENTATION] = 8
    turned = jpeg(scene(60, 41), exif=exif)
    long = struct.pack(">BBH", 0xFF, COMMENT, 65535) + b" " * 65533
    far = turned[:2] + 2 * long + turned[2:]
    same(far)
    for found in (content, far):
        pixels = decode_jpeg(found)
        assert pixels is not None and pixels.shape == (60, 41, 3)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("broken", [b"\xff" * 20, b"II*\0\x08\0\0\0\xff\xff", b""])
def test_a_broken_exif_block_does_not_spoil_the_pixels(broken: bytes) -> None:
    same(jpeg(scene(30, 20), exif=b"Exif\0\0" + broken))


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(("size", "at_least"), [((640, 480), 100), ((480, 641), 61), ((500, 375), 256), ((90, 90), 91)])
def test_a_reduced_size_keeps_the_shorter_side_long_enough(
    size: tuple[int, int], at_least: int, orientation: int
) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    content = jpeg(scene(*size), exif=exif)
    pixels = decode_jpeg(content, at_least)
    assert pixels is not None
    rows, columns = pixels.shape[:2]
    width, height = size if orientation == 1 else size[::-1]
    assert min(rows, columns) >= min(at_least, width, height)
    assert min(rows, columns) <= at_least + min(size) / 8 + 1, "it is reduced in steps of an eighth"
    assert columns / rows == pytest.approx(width / height, rel=0.02)
    full = Image.fromarray(np.asarray(decode_image(content))).resize((columns, rows), Image.Resampling.BOX)
    assert np.abs(pixels.astype(int) - np.asarray(full)).mean() < 4


def test_what_pillow_has_to_look_at_is_left_to_it() -> None:
    whole = jpeg(scene(200, 150))
    assert decode_jpeg(jpeg(scene(20, 20).convert("CMYK"))) is None
    for cut in (len(whole) // 2, len(whole) - 40, 300, 4, 3):
        assert decode_jpeg(whole[:cut]) is None, cut
    assert decode_jpeg(b"") is None
    assert decode_jpeg(b"\x89PNG\r\n\x1a\n") is None
    assert decode_jpeg(b"\xff\xd8\xff" + b"no picture" * 50) is None


def bomb() -> bytes:
    """A JPEG of some hundred bytes whose header speaks of 60,000 x 60,000 pixels."""
    content = bytearray(jpeg(scene(16, 16)))
    at = content.index(b"\xff\xc0") + 5
    content[at : at + 4] = struct.pack(">HH", 60_000, 60_000)
    return bytes(content)


def test_a_header_that_promises_too_much_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_PIXELS < 60_000**2

    def decode(*_: object, **__: object) -> None:
        raise AssertionError("it must not be decoded")

    monkeypatch.setattr("simplejpeg.decode_jpeg", decode)
    assert decode_jpeg(bomb()) is None
    assert decode_jpeg(bomb(), 256) is None


@pytest.mark.parametrize("seed", range(4))
def test_damage_never_gives_other_pixels_than_pillow(seed: int) -> None:
    """Pillow's word on a damaged file stands: the same pixels, or the file is left to it."""
    draws = np.random.default_rng(seed)
    whole = jpeg(scene(80, 60, seed), progressive=bool(seed % 2))
    for _ in range(60):
        content = bytearray(whole)
        for at in draws.integers(3, len(whole), draws.integers(1, 4)):
            content[at] = draws.integers(256)
        pixels = decode_jpeg(bytes(content))
        if pixels is not None:
            assert np.array_equal(pixels, np.asarray(decode_image(bytes(content))))


def test_files_and_bytes_of_every_kind_are_read_as_pillow_reads_them(tmp_path: Path) -> None:
    picture = scene(40, 30)
    kinds: dict[str, Image.Image] = {
        "jpg": picture,
        "png": picture.convert("RGBA"),
        "gif": picture.convert("P"),
        "webp": picture,
        "tif": Image.fromarray(np.arange(1200, dtype=np.uint16).reshape(30, 40) * 50),
    }
    for suffix, image in kinds.items():
        path = tmp_path / f"a.{suffix}"
        image.save(path)
        expected = np.asarray(decode_image(path))
        assert np.array_equal(read_pixels(path), expected), suffix
        assert np.array_equal(read_pixels(path.read_bytes()), expected), suffix
    picture.convert("CMYK").save(tmp_path / "cmyk.jpg")
    assert np.array_equal(read_pixels(tmp_path / "cmyk.jpg"), np.asarray(decode_image(tmp_path / "cmyk.jpg")))


def test_a_large_file_that_is_no_jpeg_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    Image.new("L", (8, 8), 7).save(path)
    with open(path, "rb+") as file:
        file.truncate(1 << 36)  # 64 GB of nothing, which takes no room on disk
    assert read_pixels(path).tolist() == [[[7, 7, 7]] * 8] * 8
