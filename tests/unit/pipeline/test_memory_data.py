from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from headstart.contracts.modality import raws_of
from headstart.kernel.errors import DataError
from headstart.media.images import decode_image
from headstart.pipeline.memory_data import examples_of, modality_of

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 8, 10, 3), dtype=np.uint8)
GREY = Image.fromarray(np.linspace(0, 255, 80).reshape(8, 10).astype(np.uint8))


@pytest.mark.parametrize(
    ("modality", "inputs"),
    [
        ("table", np.zeros((3, 2))),
        ("table", [[1.0, 2.0], [3.0, 4.0]]),
        ("table", np.zeros((3, 4, 5))),
        ("table", pd.DataFrame({"a": [1.0], "b": [2.0]})),
        ("table", np.array([[1.0, "a", "b"]], dtype=object)),
        ("table", np.arange(3)),
        ("table", []),
        ("text", ["a text", "another"]),
        ("text", np.array(["a text", "another"])),
        ("text", np.array(["a text", "another"], dtype=object)),
        ("text", pd.Series(["a text", "another"], index=[7, 9])),
        ("text", [("one", "two")]),
        ("text", [["one", "two"]]),
        ("text", np.array([["one", "two"]])),
        ("text", pd.DataFrame({"a": ["one"], "b": ["two"]})),
        ("text", pd.DataFrame({"a": ["one"]})),
        ("text", ["what is in photo.jpg", "no idea", "me neither"]),
        ("image", ["missing.jpg", "gone.PNG", "notes.txt"]),
        ("image", np.array(["a.jpg"])),
        ("image", pd.Series(["a.jpg"])),
        ("image", [Path("no-suffix")]),
        ("image", PIXELS),
        ("image", PIXELS[..., 0]),
        ("image", PIXELS / 255),
        ("image", list(PIXELS)),
        ("image", [Image.fromarray(PIXELS[0])]),
    ],
)
def test_the_modality_is_recognised(modality: str, inputs: Any) -> None:
    assert modality_of(inputs) == modality


def test_numbers_and_labels() -> None:
    examples = examples_of(np.array([[1, 2], [3, 4]]), "table", np.array([5.0, 6.0]))
    np.testing.assert_array_equal(raws_of(examples), [[1.0, 2.0], [3.0, 4.0]])
    assert examples.target() == [5.0, 6.0]
    assert examples.origins() == ["row 0", "row 1"]


@pytest.mark.parametrize(
    "pairs",
    [
        [("a", "b"), ("c", "d")],
        [["a", "b"], ("c", "d")],
        np.array([["a", "b"], ["c", "d"]]),
        pd.DataFrame({"x": ["a", "c"], "y": ["b", "d"]}),
    ],
)
def test_pairs_of_texts(pairs: Any) -> None:
    examples = examples_of(pairs, "text", None)
    assert raws_of(examples) == [("a", "b"), ("c", "d")]
    assert examples.schema.targets == {}


@pytest.mark.parametrize(
    "texts", [["a", "b"], pd.Series(["a", "b"]), pd.DataFrame({"x": ["a", "b"]}), np.array(["a", "b"])]
)
def test_single_texts(texts: Any) -> None:
    assert raws_of(examples_of(texts, "text", None)) == ["a", "b"]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a", 3.5], "row 1 of X holds float 3.5; expected a text"),
        (pd.Series(["a", None]), "row 1 of X holds .*(None|nan); expected a text"),
        ([("a", "b"), "c"], "row 1 of X holds str 'c'; expected a pair of texts"),
        ([("a", "b", "c")], "row 0 .* expected a text or a pair of texts"),
        (np.zeros((2, 3)), "row 0 of X holds an array of float64 .*; expected a text"),
    ],
)
def test_what_is_no_text_is_named(texts: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        examples_of(texts, "text", None)


def sources(images: Any) -> list[Path | bytes]:
    found = raws_of(examples_of(images, "image", None))
    assert all(isinstance(source, (Path, bytes)) for source in found)
    return found


def test_files_stay_where_they_are() -> None:
    examples = examples_of(["a/b.jpg", Path("c.png")], "image", None)
    assert raws_of(examples) == [Path("a/b.jpg"), Path("c.png")]
    assert examples.origins() == ["row 0 (a/b.jpg)", "row 1 (c.png)"]


def test_files_and_pixels_may_be_mixed() -> None:
    path, pixels = sources(["a.jpg", PIXELS[0]])
    assert path == Path("a.jpg")
    np.testing.assert_array_equal(decode_image(pixels), PIXELS[0])


@pytest.mark.parametrize("inputs", [PIXELS, list(PIXELS), [Image.fromarray(image) for image in PIXELS]])
def test_pixels_are_kept_as_they_are(inputs: Any) -> None:
    decoded = [np.asarray(decode_image(source)) for source in sources(inputs)]
    np.testing.assert_array_equal(decoded, PIXELS)


def test_grey_arrays_with_and_without_an_axis_of_channels() -> None:
    plain, with_axis = sources([PIXELS[0, ..., 0], PIXELS[0, ..., :1]])
    assert plain == with_axis
    np.testing.assert_array_equal(np.asarray(decode_image(plain))[..., 1], PIXELS[0, ..., 0])


@pytest.mark.parametrize(
    "image",
    [
        *(GREY.convert(mode) for mode in ("1", "L", "P", "RGB", "RGBA", "CMYK", "LA", "F", "I", "YCbCr", "HSV")),
        Image.fromarray(np.asarray(GREY).astype(np.uint16) * 257),
    ],
    ids=lambda image: image.mode,
)
def test_every_mode_looks_as_before(image: Image.Image) -> None:
    expected = np.asarray((GREY.convert("1") if image.mode == "1" else GREY).convert("RGB"), dtype=np.int64)
    found = np.asarray(decode_image(sources([image])[0]), dtype=np.int64)
    assert np.abs(found - expected).max() <= 2


def test_a_transparent_palette_is_laid_on_white() -> None:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([10, 20, 30])
    image.info["transparency"] = 0
    assert decode_image(sources([image])[0]).getpixel((0, 0)) == (255, 255, 255)


def test_a_turned_photograph_is_upright_from_memory_as_from_its_file(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PIXELS[0]).save(tmp_path / "turned.jpg", exif=exif)
    with Image.open(tmp_path / "turned.jpg") as image:
        from_memory = decode_image(sources([image])[0])
    assert from_memory.size == (8, 10)
    np.testing.assert_array_equal(from_memory, decode_image(tmp_path / "turned.jpg"))


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (PIXELS[0] / 255, r"row 1 of X is an array of float64 \(8, 10, 3\); expected uint8"),
        (np.moveaxis(PIXELS[0], -1, 0), r"row 1 of X is an array of uint8 \(3, 8, 10\).*moveaxis"),
        (PIXELS[:0], "row 1 of X is an array of uint8"),
        (None, "row 1 of X holds None; expected an image file, a Pillow image or an array"),
    ],
)
def test_what_is_no_image_is_named(item: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        examples_of([PIXELS[0], item], "image", None)


def test_a_truncated_pillow_image_is_named(tmp_path: Path) -> None:
    Image.fromarray(PIXELS.repeat(20, axis=1)[0]).save(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:200])
    with Image.open(tmp_path / "half.png") as image, pytest.raises(DataError, match="row 0 of X cannot be decoded"):
        examples_of([image], "image", None)
