"""A pool of generated pictures: each is rendered when it is first needed and kept, uncompressed, in the cache.

It is a source of batches as `PreparedInputs` is: rows -> state at boundary 0. A training that was killed finds what it
had rendered.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from pydantic import Field

from headstart.contracts.carriers import State
from headstart.kernel.errors import HeadstartError
from headstart.kernel.files import delete, hash_json
from headstart.kernel.folders import cache_folder
from headstart.kernel.settings import Settings
from headstart.media.formula.pictures import FORMAT_NUMBER, picture


class Pictures(Settings):
    """Which generated pictures are learnt from."""

    classes: int = Field(ge=2)
    """How many classes; >= 2."""
    per_class: int = Field(ge=1)
    """Pictures of each class to train on; >= 1."""
    validation_per_class: int = Field(ge=1)
    """Further pictures of each class to validate on; >= 1."""
    side: int = Field(ge=16)
    """Height and width in pixels; >= 16."""


class FormulaPool:
    """The pictures of a recipe. Row r is picture r // classes of class r % classes."""

    def __init__(self, pictures: Pictures, seed: int, entry: torch.nn.Module) -> None:
        """Open or begin the pool in the cache.

        Args:
            pictures: how many of what size. seed: names the world of classes.
            entry: a backbone's, from pixels to boundary 0.

        Raises:
            HeadstartError: there is no room for it.
        """
        self.pictures, self.seed, self.entry = pictures, seed, entry
        rows = pictures.classes * (pictures.per_class + pictures.validation_per_class)
        pixels, there = _files(pictures, seed)
        self.labels = np.arange(rows) % pictures.classes
        self._pixels = _mapped(pixels, (rows, pictures.side, pictures.side, 3))
        self._there = _mapped(there, (rows,))

    @property
    def train(self) -> np.ndarray:
        """(examples,) rows to train on."""
        return np.arange(self.pictures.classes * self.pictures.per_class)

    @property
    def validation(self) -> np.ndarray:
        """(examples,) rows to validate on."""
        return np.arange(len(self.train), len(self.labels))

    def __call__(self, rows: np.ndarray) -> State:
        """The state of the rows at boundary 0, on the CPU."""
        for row in rows[self._there[rows] == 0]:
            index, number = divmod(int(row), self.pictures.classes)
            self._pixels[row] = picture(self.seed, number, index, self.pictures.side)
            self._there[row] = 1
        state: State = self.entry(State(torch.from_numpy(self._pixels[rows])))
        return state


def discard(pictures: Pictures, seed: int) -> None:
    """Give the room of a pool back: the pictures can be made again."""
    for path in _files(pictures, seed):
        delete(path)


def _files(pictures: Pictures, seed: int) -> tuple[Path, Path]:
    """The file of the pixels, and that of a byte for each picture, which says whether it is there."""
    key = hash_json([FORMAT_NUMBER, seed, pictures.classes, pictures.side])
    folder = cache_folder() / "formula"
    return folder / f"{key}.pixels", folder / f"{key}.there"


def _mapped(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """An array of bytes in a file, zeros where nothing was written; a longer pool of the same pictures extends it."""
    size = int(np.prod(shape))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab") as file:
            if file.tell() < size:
                file.truncate(size)
        return np.memmap(path, np.uint8, "r+", shape=shape)
    except OSError as error:
        raise HeadstartError(f"no room for generated pictures in {path.parent}: {error.strerror or error}") from error
