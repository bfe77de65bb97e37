"""Pictures decoded and framed on the GPU: JPEGs by nvJPEG through torchvision, in batches.

What is no JPEG that torchvision takes is read as everywhere else and framed with the others. On a machine without a GPU
the same code runs on the CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torchvision.io import ImageReadMode, decode_jpeg

from headstart.contracts.examples import Raw
from headstart.media.framing import Framing
from headstart.media.images import read_pixels
from headstart.media.jpeg import is_plain_jpeg


def device_pixels(raws: Sequence[Raw], framing: Framing, device: torch.device) -> Tensor:
    """(batch, height, width, 3) uint8 on the device. Raises DataError."""
    contents = [_content(raw) for raw in raws]
    try:
        decoded = iter(_decoded([content for content in contents if content is not None], device))
    except RuntimeError:  # one of them is damaged; what reads them one by one says which
        contents, decoded = [None] * len(raws), iter(())
    pictures = [_read(raw, device) if content is None else next(decoded) for raw, content in zip(raws, contents)]
    return torch.stack([_framed(picture, framing) for picture in pictures])


def _content(raw: Raw) -> bytes | None:
    """The bytes of a JPEG that lies upright and in RGB or grey; None for all else."""
    if not isinstance(raw, (bytes, Path)):
        return None
    try:
        content = raw if isinstance(raw, bytes) else raw.read_bytes()
    except OSError:
        return None
    return content if is_plain_jpeg(content) else None


def _decoded(contents: Sequence[bytes], device: torch.device) -> list[Tensor]:
    """Each (3, height, width) uint8."""
    if not contents:
        return []
    arrays = [torch.from_numpy(np.frombuffer(content, np.uint8).copy()) for content in contents]
    return list(decode_jpeg(arrays, mode=ImageReadMode.RGB, device=device))


def _read(raw: Raw, device: torch.device) -> Tensor:
    return torch.from_numpy(read_pixels(raw)).permute(2, 0, 1).to(device)  # type: ignore[arg-type]


def _framed(picture: Tensor, framing: Framing) -> Tensor:
    """(3, rows, columns) uint8 -> (height, width, 3) uint8"""
    rows, columns = framing.resized(*picture.shape[1:])
    resized = functional.interpolate(
        picture[None].float(), (rows, columns), mode=framing.interpolation, antialias=True
    )[0]
    top, left = round((rows - framing.height) / 2), round((columns - framing.width) / 2)
    framed = resized[:, top : top + framing.height, left : left + framing.width]
    return framed.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0)
