"""Small data as users have them: folders of pictures, tables of texts, tables of numbers; the same in every run."""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

OFFLINE = ("--backbone", "test_resnet", "--weights", "random", "--set", "backbone.image_size=32")
"""Flags of the smallest image model that needs no download."""

GOOD, BAD = ("good", "great", "lovely", "superb"), ("bad", "awful", "horrid", "dull")


def picture(brightness: float, draws: np.random.Generator, size: int = 32) -> Image.Image:
    """Grey noise around a brightness."""
    pixels = draws.normal(brightness, 50, (size, size, 3)).clip(0, 255)
    return Image.fromarray(pixels.astype(np.uint8))


def photo_folder(root: Path, counts: Mapping[str, int] | None = None, seed: int = 0) -> Path:
    """A folder of pictures for each class; the classes differ in brightness, from dark to light."""
    counts = counts or {"dark": 20, "light": 20}
    draws = np.random.default_rng(seed)
    for brightness, (name, count) in zip(np.linspace(70, 170, len(counts)), counts.items()):
        (root / name).mkdir(parents=True)
        for number in range(count):
            picture(brightness, draws).save(root / name / f"{number:03d}.png")
    return root


def png(size: tuple[int, int], mode: str = "RGB") -> bytes:
    """The bytes of a plain picture."""
    file = io.BytesIO()
    Image.new(mode, size).save(file, "PNG")
    return file.getvalue()


def reviews(rows: int = 60) -> pd.DataFrame:
    """Texts with a word that gives the label away, a second text, a writer of several of them, and a shop."""
    draws = np.random.default_rng(1)
    words = [(GOOD if row % 2 else BAD)[draws.integers(4)] for row in range(rows)]
    return pd.DataFrame(
        {
            "review": [f"order {row} from {draws.integers(9999)} was {word} indeed" for row, word in enumerate(words)],
            "answer": [f"we hear that it was {word}" for word in words],
            "mood": ["glad" if row % 2 else "cross" for row in range(rows)],
            "writer": [f"writer {row // 2}" for row in range(rows)],
            "shop": [("north", "south")[row // 2 % 2] for row in range(rows)],
        }
    )


def measurements(rows: int = 80) -> pd.DataFrame:
    """Three numbers and a sum of them with a little noise."""
    draws = np.random.default_rng(2)
    numbers = draws.normal(size=(rows, 3))
    frame = pd.DataFrame(numbers, columns=["length", "width", "height"])
    return frame.assign(target=numbers @ [1.0, 2.0, 3.0] + draws.normal(scale=0.1, size=rows))


def own_copy(folder: Path, to: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(folder, to))
