"""What a GPU does with pictures, done by the same code on the CPU."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.io import decode_jpeg

from headstart.backbones import _device_pixels, timm_images
from headstart.backbones._device_pixels import device_pixels, lacking
from headstart.backbones._pixel_reader import PixelReader
from headstart.backbones.timm_images import TimmImages
from headstart.kernel.errors import BackboneError, DataError
from headstart.kernel.progress import Quiet
from headstart.media.framing import Framing
from headstart.media.images import Levels, read_pixels

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


def test_a_jpeg_that_the_decoder_does_not_take_leaves_the_others_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    raws = [encoded("JPEG"), encoded("JPEG", mode="L"), encoded("JPEG")]
    asked: list[int] = []
    read: list[Any] = []

    def takes_no_grey(contents: list[torch.Tensor], **how: Any) -> Any:
        asked.append(len(contents))
        if any(content.numpy().tobytes() == raws[1] for content in contents):
            raise RuntimeError("not supported")
        return decode_jpeg(contents, **how)

    def read_here(raw: Any, levels: Levels | None) -> np.ndarray:
        read.append(raw)
        return read_pixels(raw, levels=levels)

    monkeypatch.setattr(_device_pixels, "decode_jpeg", takes_no_grey)
    monkeypatch.setattr(_device_pixels, "read_pixels", read_here)
    found = device_pixels(raws, FRAMING, CPU)
    assert (asked, read) == ([3, 1, 1, 1], [raws[1]])
    assert np.abs(found[1].numpy().astype(int) - PixelReader(FRAMING, reduced=False)(raws[1])).max() <= 2


WANTED = TimmImages(reference="test_resnet", weights="random", decode="gpu")
NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


@NO_GPU
def test_without_a_gpu_it_cannot_be_asked_to_decode() -> None:
    with pytest.raises(BackboneError, match=r"no GPU with CUDA. Use decode = 'fast'"):
        WANTED.load()


def test_a_torchvision_that_cannot_decode_on_the_gpu_is_found_out_before(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(*_: Any, **__: Any) -> None:
        raise RuntimeError("decode_jpegs_cuda: torchvision not compiled with nvJPEG support\nand more")

    lacking.cache_clear()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(_device_pixels, "decode_jpeg", without)
    assert lacking().endswith("torchvision not compiled with nvJPEG support")
    lacking.cache_clear()


@NO_GPU
def test_a_model_of_features_that_a_gpu_decoded_is_read_as_usual_elsewhere_and_says_so_once(tmp_path: Path) -> None:
    saved = WANTED.rebuild(tmp_path)
    usual = TimmImages(reference="test_resnet", weights="random").load()
    raws = [encoded("JPEG"), encoded("PNG")]
    assert saved.preparation() == usual.preparation(), "their features are stored as the same"
    assert torch.equal(saved.prepare(raws).hidden, usual.prepare(raws).hidden)
    heard = Heard()
    saved.tell(heard)
    saved.tell(heard)
    assert heard.said == [
        "Pictures are decoded with 'fast' in place of the model's 'gpu': this machine has no GPU with CUDA.",
    ]


class Heard(Quiet):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def test_a_framing_that_the_gpu_does_not_know_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timm_images, "lacking", str)
    with pytest.raises(BackboneError, match=r"square centre crops.*decode = 'fast'"):
        TimmImages(reference="test_resnet", weights="random", decode="gpu", framing="whole").load()
