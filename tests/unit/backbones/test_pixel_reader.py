"""The two ways from a picture file to the pixels that a model takes, and how a saved model keeps its own."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import create_transform
from torch import nn

from headstart.backbones._pixel_reader import PixelReader, TimmReader, reader_of
from headstart.backbones.timm_images import TimmImages
from headstart.contracts.backbone import Backbone
from headstart.contracts.format import Columns
from headstart.contracts.model import Model, load_model
from headstart.kernel.errors import DataError
from headstart.kernel.user_settings import build
from headstart.media.images import decode_image
from headstart.tasks.classification.task import Classification

USUAL: dict[str, Any] = {
    "input_size": (3, 64, 64),
    "interpolation": "bicubic",
    "mean": (0.5, 0.5, 0.5),
    "std": (0.5, 0.5, 0.5),
    "crop_pct": 0.9,
    "crop_mode": "center",
}


def scene(width: int, height: int, seed: int = 0) -> Image.Image:
    draws = np.random.default_rng(seed)
    small = Image.fromarray(draws.integers(0, 255, (6, 8, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str, **how: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def by_timm(image: Image.Image, preprocessing: dict[str, Any] = USUAL) -> np.ndarray:
    """Framed by timm's own transform, as whole numbers."""
    transform = create_transform(**preprocessing, is_training=False, normalize=False)
    return transform(image).permute(1, 2, 0).numpy()


WAYS: dict[str, tuple[str, Image.Image]] = {
    "png": ("PNG", scene(120, 75)),
    "webp": ("WEBP", scene(120, 75)),
    "tiff": ("TIFF", scene(120, 75)),
    "16-bit png": ("PNG", Image.fromarray(np.arange(120 * 75, dtype=np.uint16).reshape(75, 120) * 4)),
    "16-bit tiff": ("TIFF", Image.fromarray(np.arange(120 * 75, dtype=np.uint16).reshape(75, 120) * 4)),
    "cmyk jpeg": ("JPEG", scene(120, 75).convert("CMYK")),
    "cmyk tiff": ("TIFF", scene(120, 75).convert("CMYK")),
    "palette": ("PNG", scene(120, 75).quantize(32)),
    "alpha": ("PNG", Image.merge("RGBA", (*scene(120, 75).split(), scene(120, 75, 1).convert("L")))),
    "grey jpeg": ("JPEG", scene(120, 75).convert("L")),
    "jpeg": ("JPEG", scene(120, 75)),
}


@pytest.mark.parametrize("candidate", WAYS)
@pytest.mark.parametrize("decode", ["fast", "full"])
def test_every_kind_of_file_is_framed_from_the_pixels_that_pillow_reads(candidate: str, decode: str) -> None:
    kind, image = WAYS[candidate]
    content = encoded(image, kind)
    expected = by_timm(decode_image(content))
    found = reader_of(USUAL, decode)(content)
    assert found.shape == (64, 64, 3) and found.dtype == np.uint8
    if decode == "full":
        assert np.array_equal(found, expected)
    else:
        difference = np.abs(found.astype(int) - expected)
        assert difference.max() <= 2 and (difference > 1).mean() < 0.002


@pytest.mark.parametrize(("size", "most"), [((1024, 768), 2), ((640, 80), 2), ((300, 513), 4)])
@pytest.mark.parametrize("orientation", [1, 6])
def test_fast_reading_of_large_jpegs_stays_close_to_full_reading(
    size: tuple[int, int], most: float, orientation: int
) -> None:
    """A size that is not a multiple of eight is reduced to whole pixels, which moves the picture by a part of one."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(scene(*size), "JPEG", quality=90, exif=exif)
    fast, full = reader_of(USUAL, "fast"), reader_of(USUAL, "full")
    assert isinstance(fast, PixelReader) and isinstance(full, TimmReader)
    difference = np.abs(fast(content).astype(int) - full(content))
    assert 0 < difference.mean() < most


@pytest.mark.parametrize(
    "change",
    [{"crop_mode": "squash"}, {"crop_mode": "border"}, {"interpolation": "lanczos"}, {"input_size": (3, 64, 48)}],
)
def test_what_the_fast_way_does_not_know_is_left_to_timm(change: dict[str, Any]) -> None:
    preprocessing = {**USUAL, **change}
    reader = reader_of(preprocessing, "fast")
    assert isinstance(reader, TimmReader)
    content = encoded(scene(120, 75), "PNG")
    assert np.array_equal(reader(content), by_timm(decode_image(content), preprocessing))


@pytest.mark.parametrize("decode", ["fast", "full"])
def test_a_reader_survives_the_way_to_another_process(decode: str) -> None:
    reader = reader_of(USUAL, decode)
    content = encoded(scene(90, 70), "PNG")
    before = reader(content)
    sent = pickle.loads(pickle.dumps(reader))
    assert np.array_equal(sent(content), before)
    assert reader.nbytes == sent.nbytes == before.nbytes


@pytest.mark.parametrize("decode", ["fast", "full"])
def test_what_cannot_be_read_gives_its_reason(decode: str, tmp_path: Path) -> None:
    whole = encoded(scene(200, 150), "JPEG")
    reader = reader_of(USUAL, decode)
    for content, reason in ((whole[:-200], "truncated"), (b"", "empty"), (b"no picture", "not an image")):
        path = tmp_path / "a.jpg"
        path.write_bytes(content)
        for source in (path, content):
            with pytest.raises(DataError, match=reason):
                reader(source)
    with pytest.raises(DataError, match="is missing"):
        reader(tmp_path / "gone.jpg")


def loaded(**settings: Any) -> Backbone:
    return TimmImages(reference="test_resnet", weights="random", image_size=32, **settings).load()


def decode_of(backbone: Backbone) -> tuple[Any, type]:
    return backbone.preparation()["decode"], type(backbone.reader())


@pytest.mark.slow
@pytest.mark.parametrize("decode", ["fast", "full"])
def test_the_way_of_decoding_belongs_to_the_preparation_and_to_a_saved_model(decode: str, tmp_path: Path) -> None:
    backbone = loaded(decode=decode)
    task = Classification().restore({"classes": ("ant", "bee"), "counts": (3, 4)})
    heads = nn.ModuleDict({"head": task.head(backbone)})
    execution = {"runner": "eager", "precision": "float32"}
    Model(backbone, task, heads, Columns(), execution, {"temperature": 1.0}).save(tmp_path / "model")
    again = load_model(tmp_path / "model").backbone
    kind = {"fast": PixelReader, "full": TimmReader}[decode]
    assert decode_of(again) == decode_of(backbone) == decode_of(backbone.fresh(3)) == (decode, kind)
    assert again.preparation() == backbone.preparation()


def test_fast_is_the_usual_way_and_gives_features_of_their_own() -> None:
    usual, full = loaded(), loaded(decode="full")
    assert decode_of(usual) == ("fast", PixelReader)
    assert usual.preparation() != full.preparation(), "stored features must not be mixed"
    content = encoded(scene(400, 300), "JPEG")
    assert not torch.equal(usual.prepare([content]).hidden, full.prepare([content]).hidden)


def test_a_model_saved_before_there_was_a_choice_decodes_in_full() -> None:
    settings = dict(loaded().describe()["settings"])
    del settings["decode"]
    again = build(TimmImages, settings, where="backbone").rebuild(Path("nowhere"))
    assert decode_of(again) == ("full", TimmReader)
