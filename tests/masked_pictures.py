"""Small pictures with masks, and maps in which their classes can be found linearly, for the tests of segmentation."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.features import Features, MapShape
from headstart.media.masks import encode_mask, read_mask

SIDE = 24
MAPS = (MapShape(6, 2), MapShape(6, 4))
"""Shapes of what `maps_of` gives."""


def blobs_mask(seed: int, side: int = SIDE, classes: int = 3) -> np.ndarray:
    """(side, side) uint8: a disc of class 1, and in it in two of three pictures one of class 2."""
    draws = np.random.default_rng(seed)
    down, across = np.mgrid[:side, :side]
    mask = np.zeros((side, side), np.uint8)
    for number in range(1, classes if seed % 3 else 2):
        middle, radius = draws.uniform(0.4 * side, 0.6 * side, 2), side * (0.38 - 0.12 * number)
        mask[(down - middle[0]) ** 2 + (across - middle[1]) ** 2 < radius**2] = number
    return mask


def picture_of(mask: np.ndarray, seed: int) -> np.ndarray:
    """(height, width, 3) uint8: each class in a grey of its own, with noise."""
    draws = np.random.default_rng(seed)
    grey = np.array([60, 130, 200])[np.minimum(mask, 2)][..., None] + draws.normal(0, 12, (*mask.shape, 3))
    return grey.clip(0, 255).astype(np.uint8)


def masked_pictures(n: int, spacing: tuple[float, float] | None = None) -> Examples:
    """`n` pictures of 24 x 24 pixels with three classes, in memory."""
    masks = [blobs_mask(seed) for seed in range(n)]
    table = {
        "picture": [png(picture_of(mask, seed)) for seed, mask in enumerate(masks)],
        "mask": [encode_mask(mask, spacing) for mask in masks],
        "origin": [f"picture {seed}" for seed in range(n)],
    }
    schema = Schema(modality="image", inputs=("picture",), targets={"mask": "mask"}, origin="origin")
    return Examples(pa.table(table), schema)


def maps_of(examples: Examples) -> Features:
    """What a good backbone would see in the pictures: which class is where, at two strides, in a frame of 96 pixels."""
    found = torch.stack([torch.from_numpy(read_mask(mask).values) for mask in examples.target("mask")])
    framed = functional.interpolate(found[:, None].double(), (96, 96), mode="nearest-exact")[:, 0].long()
    levels = []
    for shape in MAPS:
        places = functional.interpolate(framed[:, None].double(), (96 // shape.stride,) * 2, mode="nearest-exact")
        classes = functional.one_hot(places[:, 0].long(), 3).permute(0, 3, 1, 2).float()
        noise = torch.randn(1, *classes.shape[1:], generator=torch.Generator().manual_seed(shape.stride))
        levels.append(torch.cat([classes + 0.2 * noise, noise.expand(len(found), -1, -1, -1)], dim=1))
    return Features(levels[-1].mean((2, 3)).repeat(1, 2), maps=tuple(levels))


def png(pixels: np.ndarray) -> bytes:
    """The pixels (height, width, 3) uint8 as a file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def save_pairs(folder: Path, seeds: Sequence[int], side: int = 48) -> Path:
    """`images/` and `masks/` of these seeds below `folder`."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        mask = blobs_mask(seed, side)
        Image.fromarray(picture_of(mask, seed)).save(folder / "images" / f"{seed:03d}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{seed:03d}.png")
    return folder


class Given(nn.Module):
    """A decoder that gives the same scores (batch, classes, side, side) whatever it sees."""

    def __init__(self, scores: torch.Tensor) -> None:
        super().__init__()
        self.scores = scores

    def forward(self, maps: object, side: int) -> torch.Tensor:
        return self.scores
