"""What a GPU does with pictures, done by the same code on the CPU."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from headstart.backbones._device_pixels import device_pixels
from headstart.backbones._pixel_reader import PixelReader
from headstart.backbones.timm_images import TimmImages
from headstart.kernel.errors import BackboneError, DataError
from headstart.media.framing import Framing

CPU = torch.device("cpu")
FRAMING = Framing(40, 32, 32, "bicubic")


def encoded(kind: str, *, orientation: int = 1, mode: str = "RGB") -> bytes:
    cells = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
    picture = Image.fromarray(cells).resize((90, 60), Image.Resampling.BICUBIC).convert(mode)
    exif = picture.getexif()
    exif[274] = orientation
    buffer = io.BytesIO()
    picture.save(buffer, kind, exif=exif)
    return buffer.getvalue()


def test_jpegs_and_others_are_framed_as_they_are_elsewhere() -> None:
    raws = [encoded("JPEG"), encoded("PNG"), encoded("JPEG", orientation=6), encoded("JPEG", mode="CMYK")]
    found = device_pixels(raws, FRAMING, CPU)
    reader = PixelReader(FRAMING, reduced=False)
    assert found.shape == (4, 32, 32, 3) and found.dtype == torch.uint8
    for mine, raw in zip(found.numpy().astype(int), raws):
        assert np.abs(mine - reader(raw)).max() <= 2


def test_a_damaged_jpeg_is_told_as_elsewhere(tmp_path: Path) -> None:
    content = encoded("JPEG")
    (tmp_path / "a.jpg").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="truncated"):
        device_pixels([content, tmp_path / "a.jpg"], FRAMING, CPU)
    with pytest.raises(DataError, match="missing"):
        device_pixels([tmp_path / "b.jpg"], FRAMING, CPU)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_pictures_are_read_as_usual() -> None:
    wanted = TimmImages(reference="test_resnet", weights="random", decode="gpu").load()
    usual = TimmImages(reference="test_resnet", weights="random").load()
    raws = [encoded("JPEG"), encoded("PNG")]
    assert wanted.reader() is not None and wanted.preparation()["decode"] == "gpu"
    assert torch.equal(wanted.prepare(raws).hidden, usual.prepare(raws).hidden)


def test_a_framing_that_the_gpu_does_not_know_is_refused() -> None:
    with pytest.raises(BackboneError, match="decode = 'fast'"):
        TimmImages(reference="test_resnet", weights="random", decode="gpu", framing="whole").load()
