"""Pictures decoded and framed on the GPU: JPEGs by nvJPEG through torchvision, in batches.

Anything but a JPEG that torchvision takes is read as elsewhere and framed with the others. Without a GPU, or with a
torchvision that lacks nvJPEG, `lacking` says so.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torchvision.io import ImageReadMode, decode_jpeg

from headstart.contracts.examples import Raw
from headstart.kernel.errors import first_line
from headstart.kernel.regular import read_regular
from headstart.media.framing import Framing
from headstart.media.images import Levels, read_pixels
from headstart.media.jpeg import is_plain_jpeg


@lru_cache
def lacking() -> str:
    """Why this machine cannot decode on a GPU, in words; '' where it can."""
    if not torch.cuda.is_available():
        return "this machine has no GPU with CUDA"
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, "JPEG")
    try:
        _decoded([file.getvalue()], torch.device("cuda"))
    except RuntimeError as error:
        return f"torchvision cannot decode on the GPU here: {first_line(error)}"
    return ""


def device_pixels(raws: Sequence[Raw], framing: Framing, device: torch.device, levels: Levels | None = None) -> Tensor:
    """(batch, height, width, 3) uint8 on the device. Raises DataError."""
    contents = [_content(raw) for raw in raws]
    decoded = iter(_taken([content for content in contents if content is not None], device))
    pictures = [None if content is None else next(decoded) for content in contents]
    read = [_read(raw, device, levels) if picture is None else picture for raw, picture in zip(raws, pictures)]
    return torch.stack([_framed(picture, framing) for picture in read])


def _content(raw: Raw) -> bytes | None:
    """The bytes of a JPEG that lies upright and in RGB or grey; None for all else."""
    if not isinstance(raw, (bytes, Path)):
        return None
    try:
        content = raw if isinstance(raw, bytes) else read_regular(raw)
    except OSError:
        return None
    return content if is_plain_jpeg(content) else None


def _taken(contents: Sequence[bytes], device: torch.device) -> list[Tensor | None]:
    """Each as `_decoded` gives it; None for one that it does not take."""
    try:
        return [*_decoded(contents, device)]
    except RuntimeError as error:
        if len(contents) > 1:  # one that is not taken leaves the others to the same decoder
            return [picture for content in contents for picture in _taken([content], device)]
        if isinstance(error, torch.OutOfMemoryError):
            raise
        return [None]


def _decoded(contents: Sequence[bytes], device: torch.device) -> list[Tensor]:
    """Each (3, height, width) uint8."""
    if not contents:
        return []
    arrays = [torch.from_numpy(np.frombuffer(content, np.uint8).copy()) for content in contents]
    return list(decode_jpeg(arrays, mode=ImageReadMode.RGB, device=device))


def _read(raw: Raw, device: torch.device, levels: Levels | None) -> Tensor:
    return torch.from_numpy(read_pixels(raw, levels=levels)).permute(2, 0, 1).to(device)


def _framed(picture: Tensor, framing: Framing) -> Tensor:
    """(3, rows, columns) uint8 -> (height, width, 3) uint8"""
    rows, columns = framing.resized(*picture.shape[1:])
    resized = functional.interpolate(
        picture[None].float(), (rows, columns), mode=framing.interpolation, antialias=True
    )[0]
    top, left = round((rows - framing.height) / 2), round((columns - framing.width) / 2)
    framed = resized[:, top : top + framing.height, left : left + framing.width]
    return framed.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0)
