from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from headstart.kernel.errors import DataError
from headstart.media import images
from headstart.media.images import decode_image, image_size, looks_like_image, read_pixels


def saved(image: Image.Image, path: Path, **how: object) -> Path:
    image.save(path, **how)  # type: ignore[arg-type]
    return path


def ramp(top: int, kind: type) -> np.ndarray:
    return np.tile(np.linspace(0, top, 64).astype(kind), (8, 1))


@pytest.mark.parametrize("top", [255, 4095, 65535])
def test_wide_integers_are_scaled_by_the_range_they_were_written_for(tmp_path: Path, top: int) -> None:
    pixels = np.asarray(decode_image(saved(Image.fromarray(ramp(top, np.uint16)), tmp_path / "wide.png")))
    assert pixels.shape == (8, 64, 3)
    assert pixels[0, 0, 0] == 0
    assert pixels[0, -1, 0] == 255
    assert abs(int(pixels[0, 32, 0]) - 129) <= 1


def test_negative_numbers_of_a_scan_are_moved_up_not_cut_off(tmp_path: Path) -> None:
    scan = np.tile(np.linspace(-1000, 1000, 64).astype(np.int32), (8, 1))
    pixels = np.asarray(decode_image(saved(Image.fromarray(scan), tmp_path / "ct.tif")))
    assert len(np.unique(pixels)) > 60


@pytest.mark.parametrize("top", [1.0, 255.0, 3000.0])
def test_floats_are_scaled_and_nan_is_dark(tmp_path: Path, top: float) -> None:
    values = ramp(1, np.float32) * 0 + np.linspace(0, top, 64, dtype=np.float32)
    values[0, 0] = np.nan
    pixels = np.asarray(decode_image(saved(Image.fromarray(values), tmp_path / "float.tif")))
    assert pixels[0, 0, 0] == 0
    assert pixels[1, -1, 0] == 255
    assert abs(int(pixels[1, 32, 0]) - 129) <= 1


def test_large_wide_pictures_are_scaled_in_bands_as_they_would_be_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(0, 100, (90, 70)).astype(np.float32)
    values[3, 4], values[80, 2], values[50, 1] = np.nan, -5000, 9000
    file = io.BytesIO()
    Image.fromarray(values).save(file, "TIFF")
    monkeypatch.setattr(images, "MOST_AS_FLOATS", 700)
    whole = np.nan_to_num(values.astype(np.float64), nan=0) + 5000
    expected = np.floor(whole * (255.999 / 14000)).astype(np.uint8)
    assert np.array_equal(np.asarray(decode_image(file.getvalue()))[..., 0], expected)


def test_a_wide_picture_takes_a_few_bytes_for_each_of_its_pixels() -> None:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 65535, (5000, 2000), np.uint16)).save(file, "TIFF")
    tracemalloc.start()
    try:
        decode_image(file.getvalue())
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 8 * 5000 * 2000


class Scarce(ImageFile.ImageFile):
    """A format whose decoder, or whose rotation, finds no memory."""

    format = "SCARCE"

    def _open(self) -> None:
        self._size, self._mode = (4, 4), "RGB"

    def load(self) -> Any:
        if self.fp is not None and self.fp.read(6) == b"DECODE":
            raise MemoryError
        return Image.Image.load(self)

    def getexif(self) -> Any:
        raise MemoryError


@pytest.mark.parametrize("when", [b"DECODE", b"ROTATE"])
def test_too_little_memory_says_nothing_against_a_file(when: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "OPEN", {**Image.OPEN, "SCARCE": (Scarce, lambda prefix: prefix.startswith(when))})
    monkeypatch.setattr(Image, "ID", [*Image.ID, "SCARCE"])
    with pytest.raises(MemoryError):
        decode_image(when)


def test_transparency_of_palettes_and_alpha_is_laid_on_white(tmp_path: Path) -> None:
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    path = saved(palette, tmp_path / "palette.png", transparency=0)
    assert np.asarray(decode_image(path)).min() == 255
    alpha = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    assert abs(int(np.asarray(decode_image(saved(alpha, tmp_path / "alpha.png")))[0, 0, 0]) - 127) <= 1


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    path = saved(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), tmp_path / "print.jpg")
    red, green, blue = np.asarray(decode_image(path))[8, 8]
    assert red > 200
    assert green < 60
    assert blue < 60


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("kind", ["jpg", "tif"])
def test_cmyk_has_the_colours_that_pillow_converts_it_to(kind: str, tmp_path: Path) -> None:
    path = saved(Image.fromarray(noise(24, 40, 4), "CMYK"), tmp_path / f"print.{kind}")
    expected = np.asarray(Image.open(path).convert("RGB"))
    assert np.array_equal(np.asarray(decode_image(path)), expected)
    assert np.array_equal(read_pixels(path), expected)


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_16_bits_are_divided_to_8_within_a_level(kind: str, tmp_path: Path) -> None:
    values = noise(24, 40).astype(np.uint16) * 256 + noise(24, 40).T.reshape(24, 40)
    path = saved(Image.fromarray(values), tmp_path / f"wide.{kind}")
    assert np.array_equal(np.asarray(Image.open(path)), values) and values.max() > 65000
    for found in (np.asarray(decode_image(path)), read_pixels(path)):
        assert found.shape == (24, 40, 3)
        assert np.abs(found - (values / 257)[..., None]).max() <= 1


def test_exif_rotation_is_applied_and_counted_in_the_size(tmp_path: Path) -> None:
    image = Image.new("RGB", (40, 20), "white")
    image.paste("black", (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(image, tmp_path / "turned.jpg", exif=exif, quality=95)
    pixels = np.asarray(decode_image(path).convert("L"))
    assert pixels.shape == (40, 20)
    assert image_size(path) == (20, 40)
    assert pixels[5].mean() < 60 < 200 < pixels[35].mean()


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_broken_exif_block_does_not_spoil_the_pixels(tmp_path: Path) -> None:
    path = saved(Image.new("RGB", (8, 8), "red"), tmp_path / "exif.jpg", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    assert decode_image(path).size == (8, 8)


def test_a_large_jpeg_may_be_decoded_small(tmp_path: Path) -> None:
    path = saved(Image.new("RGB", (800, 640), "red"), tmp_path / "large.jpg")
    small = decode_image(path, at_least=100)
    assert min(small.size) >= 100
    assert small.size[0] < 800
    assert image_size(path) == (800, 640)


def test_bytes_and_files_are_read_alike(tmp_path: Path) -> None:
    path = saved(Image.new("RGB", (5, 7), (1, 2, 3)), tmp_path / "a.png")
    assert decode_image(path.read_bytes()).tobytes() == decode_image(path).tobytes()


def broken(tmp_path: Path) -> dict[str, Path]:
    whole = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(whole, "JPEG")
    files = {
        "truncated.jpg": whole.getvalue()[: len(whole.getvalue()) // 2],
        "zero.png": b"",
        "text.jpg": b"this is not a picture at all",
        "header.png": whole.getvalue()[:3],
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return {name: tmp_path / name for name in [*files, "absent.png"]}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("truncated.jpg", "truncated"),
        ("zero.png", r"is empty \(0 bytes\)"),
        ("text.jpg", "is not an image that Pillow can read"),
        ("header.png", "is not an image"),
        ("absent.png", "is missing"),
    ],
)
def test_what_cannot_be_read_gives_its_reason_and_not_the_path(tmp_path: Path, name: str, reason: str) -> None:
    path = broken(tmp_path)[name]
    with pytest.raises(DataError, match=reason) as caught:
        decode_image(path)
    assert str(tmp_path) not in str(caught.value)


def test_a_folder_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be opened") as caught:
        decode_image(tmp_path)
    assert str(tmp_path) not in str(caught.value)


def bomb(path: Path, side: int) -> Path:
    """A PNG of some bytes that claims side x side pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\x00" * 10)) + chunk(b"IEND", b""))
    return path


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is too large"):
        decode_image(bomb(tmp_path / "bomb.png", 60_000))


def test_the_limit_of_pixels_is_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(Image.new("L", (30, 30)), tmp_path / "a.png")
    monkeypatch.setattr(images, "MOST_PIXELS", 899)
    with pytest.raises(DataError, match="30x30 pixels, at most 899"):
        decode_image(path)
    monkeypatch.setattr(images, "MOST_PIXELS", 900)
    assert decode_image(path).size == (30, 30)


def test_pictures_without_a_telling_name_are_known_by_their_first_bytes(tmp_path: Path) -> None:
    for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"):
        Image.new("RGB", (4, 4)).save(tmp_path / "nameless", kind)
        assert looks_like_image(tmp_path / "nameless"), kind
    (tmp_path / "notes").write_text("some notes")
    assert not looks_like_image(tmp_path / "notes")
    assert not looks_like_image(tmp_path / "absent")
