"""Pictures of more than 8 bits a channel: one black and one white for a data set, learnt and kept with the model."""

from __future__ import annotations

import pickle
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

import headstart
from headstart.kernel.errors import SettingsError
from headstart.media.deep_pictures import learn_levels
from headstart.media.images import Box, Crop, Levels, decode_image, read_pixels
from headstart.media.picture_kinds import picture_notes

RAMP = np.tile(np.linspace(0, 3000, 64), (48, 1))


def colour_png(values: np.ndarray) -> bytes:
    """(height, width, 3 or 4) as 16 bits a channel, which Pillow does not write."""
    height, width, channels = values.shape

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def saved(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return path


def frame(seed: int, peak: float, hot: int | None = None) -> np.ndarray:
    draws = np.random.default_rng(seed)
    values = draws.integers(100, 200, (48, 64))
    y, x = draws.integers(5, 25), draws.integers(5, 35)
    values[y : y + 18, x : x + 22] = peak - draws.integers(0, 60, (18, 22))
    if hot is not None:
        values[0, 0] = hot
    return values.astype(np.uint16)


def scenes(folder: Path, seed: int, count: int, hot: int | None = None) -> Path:
    for number in range(count):
        saved(folder / "dim" / f"{number}.png", frame(seed + number, 900 + 20 * number, hot))
        saved(folder / "bright" / f"{number}.png", frame(seed + 100 + number, 3000 + 30 * number, hot))
    return folder


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_a_stray_pixel_or_picture_moves_no_level(tmp_path: Path, kind: type) -> None:
    for number in range(20):
        values = RAMP.astype(kind)
        values[0, 0], values[1, 1] = (65535, 0) if number % 2 else (0, 40000)
        saved(tmp_path / f"{number}.tif", values)
    paths = [tmp_path / f"{number}.tif" for number in range(20)]
    learnt = learn_levels([*paths, saved(tmp_path / "full.tif", np.full((48, 64), 65535).astype(kind))])
    assert learnt is not None and learnt.levels.black == 0 and 2950 < learnt.levels.white <= 3001
    assert learnt.deep == 21 and "21 of 21 training pictures" in learnt.note


def test_one_bright_picture_counts_where_it_does_not_double_the_range(tmp_path: Path) -> None:
    paths = [saved(tmp_path / f"{number}.png", (RAMP / 2).astype(np.uint16)) for number in range(9)]
    learnt = learn_levels([*paths, saved(tmp_path / "bright.png", (RAMP * 0.9).astype(np.uint16))])
    assert learnt is not None and learnt.levels.white == 2700


def test_colours_of_16_bits_are_read_as_greys_are(tmp_path: Path) -> None:
    grey = read_pixels(saved(tmp_path / "grey.png", RAMP.astype(np.uint16)), levels=Levels(0, 4095))
    colours = colour_png(np.dstack([RAMP] * 3).astype(np.uint16))
    assert np.array_equal(read_pixels(colours, levels=Levels(0, 4095)), grey) and grey.max() == 187
    learnt = learn_levels([colours])
    assert learnt is not None and learnt.levels == (0, 3000)
    opaque = np.full(RAMP.shape, 65535)
    opaque[:4] = 0
    seen = read_pixels(colour_png(np.dstack([RAMP, RAMP, RAMP, opaque]).astype(np.uint16)), levels=Levels(0, 4095))
    assert np.array_equal(seen[4:], grey[4:]) and (seen[:4] == 255).all()


def test_deep_pictures_are_turned_upright_and_what_is_missing_is_black(tmp_path: Path) -> None:
    values, exif = RAMP.astype(np.float32), Image.Exif()
    values[0, 5], exif[ExifTags.Base.Orientation] = np.nan, 3
    Image.fromarray(values).save(tmp_path / "turned.tif", exif=exif)
    seen = np.asarray(decode_image(tmp_path / "turned.tif", levels=Levels(-1000, 3000)))[..., 0]
    assert seen[-1, -6] == 0 and seen[3, 0] == 255 and seen[3, -1] == 63


def test_parts_of_a_picture_are_read_by_the_levels_that_are_asked_for(tmp_path: Path) -> None:
    path, box = saved(tmp_path / "ramp.png", RAMP.astype(np.uint16)), Box(2, 3, 20, 30)
    for levels in (None, Levels(0, 3000), Levels(0, 9000)):
        part = read_pixels(Crop(path, box), levels=levels)
        assert np.array_equal(part, read_pixels(path, levels=levels)[2:22, 3:33])


def test_whole_and_floating_point_numbers_side_by_side_are_told_of(tmp_path: Path) -> None:
    kinds = (np.uint16, np.float32)
    learnt = learn_levels([saved(tmp_path / f"{kind.__name__}.tif", RAMP.astype(kind)) for kind in kinds])
    assert learnt is not None and ". 1 of them hold floating-point numbers" in learnt.note


def test_a_copy_with_a_hot_pixel_is_a_near_duplicate(tmp_path: Path) -> None:
    for number in range(3):
        small = np.random.default_rng(number).integers(100, 900, (6, 8)).astype(np.int32)
        values = np.asarray(Image.fromarray(small).resize((64, 48), Image.Resampling.BICUBIC)).astype(np.uint16)
        saved(tmp_path / "a" / f"{number}.png", values)
        values[0, 0] = 65535
        saved(tmp_path / "b" / f"{number}.png", values)
    found = headstart.inspect(tmp_path)
    assert found.near_duplicates == 3 and not found.constant_images


@pytest.mark.parametrize("levels", [[5, 5], [9, 2], [0, float("inf")], [float("nan"), 1]])
def test_black_lies_below_white(tmp_path: Path, levels: list[float]) -> None:
    with pytest.raises(SettingsError, match="levels"):
        headstart.fit(scenes(tmp_path, 0, 2), backbone="embedded", settings={"backbone": {"levels": levels}})


@pytest.mark.slow
def test_a_run_keeps_its_levels_and_a_hot_pixel_changes_no_prediction(tmp_path: Path) -> None:
    data = scenes(tmp_path / "data", 0, 12)
    for number in range(4):
        saved(data / "dim" / f"8 bits {number}.png", (frame(500 + number, 1100) // 16).astype(np.uint8))
    notes = [finding.text for finding in headstart.inspect(data).findings if "becomes black" in finding.text]
    assert len(notes) == 1 and re.search(r"training pictures have more.*\. The \d pictures of 8 bits stay", notes[0])
    run = headstart.fit(data, out=tmp_path / "run", backbone="embedded", scratch=False)
    assert set(notes) <= set(run.record.data.notes)
    assert next(arm for arm in run.record.arms.values() if "histograms" in arm.title).figures["accuracy"].value == 1
    found = headstart.evaluate(tmp_path / "run", scenes(tmp_path / "hot", 1000, 10, hot=4200))
    assert found.figures["accuracy"].value == 1
    other = headstart.fit(
        data, out=tmp_path / "wide", backbone="embedded", scratch=False, settings={"backbone": {"levels": [0, 65535]}}
    )
    assert not any("becomes black" in note for note in other.record.data.notes)
    one = tmp_path / "hot" / "dim" / "3.png"
    scores = [headstart.predict(tmp_path / name, one.parent).iloc[3, -2:].tolist() for name in ("run", "wide")]
    assert scores[0] != scores[1]  # kept features are not shared


@pytest.mark.slow
def test_a_run_of_8_bits_doubts_deep_pictures(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for number in range(8):
        for name, peak in (("dim", 1000), ("bright", 3000)):
            saved(data / name / f"{number}.png", (frame(number, peak) // 16).astype(np.uint8))
    headstart.fit(data, out=tmp_path / "run", backbone="embedded", scratch=False)
    found = headstart.evaluate(tmp_path / "run", scenes(tmp_path / "deep", 0, 3))
    assert any("more than 8 bits" in note for note in found.notes)
    assert not any("8 bits" in note for note in headstart.evaluate(tmp_path / "run", data).notes)


@pytest.mark.slow
def test_an_estimator_learns_its_levels_too(tmp_path: Path) -> None:
    data, new = scenes(tmp_path / "data", 0, 8), scenes(tmp_path / "hot", 1000, 6, hot=4200)
    paths, hot = sorted(data.rglob("*.png")), sorted(new.rglob("*.png"))
    model = headstart.TransferClassifier(backbone="embedded").fit(paths, [path.parent.name for path in paths])
    assert list(pickle.loads(pickle.dumps(model)).predict(hot)) == [path.parent.name for path in hot]


def test_pages_transparency_and_inks_are_counted(tmp_path: Path) -> None:
    page = Image.new("L", (8, 8))
    page.save(tmp_path / "scan.tif", save_all=True, append_images=[page, page])
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "moving.png", save_all=True, append_images=frames[1:])
    Image.new("RGBA", (8, 8)).save(tmp_path / "clear.png")
    Image.new("CMYK", (8, 8)).save(tmp_path / "inks.jpg")
    page.save(tmp_path / "plain.png")
    (tmp_path / "damaged.gif").write_bytes((tmp_path / "moving.gif").read_bytes()[:30])
    paths = sorted(tmp_path.iterdir())
    notes = picture_notes(paths, [path.name for path in paths])
    assert [note.split(",")[0].split(" with ")[0] for note in notes] == [
        "1 of 7 pictures are transparent in places and are laid on white",
        "1 of 7 pictures are in inks (CMYK) or another colour space",
        "3 of 7 pictures have several pages or frames",
    ]
    assert "moving.gif with 2" in notes[2] and "only the first is read" in notes[2]
