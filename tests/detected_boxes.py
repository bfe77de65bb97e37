"""Small pictures with boxes, and maps in which the boxes can be found, for the tests of detection."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import torch

from headstart.contracts.box_labels import BOXES
from headstart.contracts.examples import Examples, Schema
from headstart.contracts.features import Features, MapShape
from masked_pictures import png

SIDE = 96
MAPS = (MapShape(8, 8), MapShape(8, 16), MapShape(8, 32))
"""Shapes of what `box_maps` gives."""
CLASSES = ("cell", "platelet")


def boxes_of(seed: int) -> list[dict[str, Any]]:
    """A cell of about 40 pixels and a platelet of about 16, one of them, or none; in a tenth a cell over all."""
    draws = np.random.default_rng(seed)
    if seed % 10 == 9:
        return [box("cell", 0, 0, SIDE, SIDE)]
    shown = (CLASSES, CLASSES[:1], CLASSES[1:], ())[seed % 4]
    found = []
    for name in shown:
        width, height = (40 if name == "cell" else 16) * draws.uniform(0.85, 1.15, 2)
        left, top = draws.uniform(0, SIDE - width), draws.uniform(0, SIDE - height)
        found.append(box(name, left, top, left + width, top + height))
    return found


def box(label: str, left: float, top: float, right: float, bottom: float, crowd: bool = False) -> dict[str, Any]:
    """A box as `contracts/box_labels.py` has it."""
    return {"label": label, "left": left, "top": top, "right": right, "bottom": bottom, "crowd": crowd, "track": None}


def picture_with(boxes: list[dict[str, Any]], seed: int, size: tuple[int, int] = (SIDE, SIDE)) -> np.ndarray:
    """(height, width, 3) uint8: each class in a grey of its own over a dark ground with noise."""
    width, height = size
    grey = np.full((height, width), 60.0)
    for one in boxes:
        rows, columns = slice(round(one["top"]), round(one["bottom"])), slice(round(one["left"]), round(one["right"]))
        grey[rows, columns] = 140 if one["label"] == CLASSES[0] else 220
    noisy = grey[..., None] + np.random.default_rng(seed).normal(0, 8, (height, width, 3))
    return noisy.clip(0, 255).astype(np.uint8)


def boxed(pictures: list[list[dict[str, Any]] | None], size: tuple[int, int] = (SIDE, SIDE)) -> Examples:
    """Pictures with these boxes, in memory; None is a picture without labels."""
    table = {
        "picture": [png(picture_with(boxes or [], seed, size)) for seed, boxes in enumerate(pictures)],
        "boxes": pa.array(pictures, BOXES),
        "origin": [f"picture {seed}" for seed in range(len(pictures))],
    }
    schema = Schema(modality="image", inputs=("picture",), targets={"boxes": "boxes"}, origin="origin")
    return Examples(pa.table(table), schema)


def boxed_pictures(n: int) -> Examples:
    """`n` pictures of 96 x 96 pixels with objects of two classes, or none."""
    return boxed([boxes_of(seed) for seed in range(n)])


def box_maps(examples: Examples) -> Features:
    """What a good backbone would see: at every cell the class of its box, and how far its edges are, with noise."""
    levels = []
    for shape in MAPS:
        cells = SIDE // shape.stride
        level = np.zeros((len(examples), shape.channels, cells, cells))
        middles = (np.arange(cells) + 0.5) * shape.stride
        for row, boxes in enumerate(examples.target("boxes")):
            for one in boxes:
                across = (middles > one["left"]) & (middles < one["right"])
                down = (middles > one["top"]) & (middles < one["bottom"])
                inside = down[:, None] & across[None]
                level[row, CLASSES.index(one["label"])][inside] = 1.0
                away = (middles[None] - one["left"], middles[:, None] - one["top"])
                away += (one["right"] - middles[None], one["bottom"] - middles[:, None])
                for channel, distance in enumerate(away, start=2):
                    level[row, channel][inside] = (np.broadcast_to(distance, inside.shape) / shape.stride)[inside]
        noise = np.random.default_rng(shape.stride).normal(0, 0.05, level.shape[1:])
        levels.append(torch.from_numpy(level + noise).float())
    return Features(levels[-1].mean((2, 3)).repeat(1, 2), maps=tuple(levels))
