"""A pool of generated pictures: each is rendered when it is first needed and kept, uncompressed, in the cache.

It is a source of batches as `PreparedInputs` is: rows -> state at boundary 0. A training that was killed finds what it
had rendered. Many pictures are rendered by the processes that read inputs, one for each core.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from pydantic import Field

from headstart.contracts.carriers import State
from headstart.contracts.examples import Raw
from headstart.engine.frozen.feeding import reading
from headstart.engine.frozen.reading import Inputs, joined, read_inputs
from headstart.kernel.errors import HeadstartError
from headstart.kernel.files import delete, hash_json
from headstart.kernel.folders import cache_folder
from headstart.kernel.processor import cores
from headstart.kernel.settings import Settings
from headstart.media.formula.pictures import FORMAT_NUMBER, picture

AT_ONCE = 64
"""Pictures that a worker process has room for."""


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


@dataclass(frozen=True)
class FormulaReader:
    """Renders a picture, as others read a file: a worker process can do it."""

    seed: int
    """Names the world of classes."""
    side: int
    """Height and width in pixels."""

    @property
    def nbytes(self) -> int:
        """Of a picture."""
        return 3 * self.side**2

    def __call__(self, raw: Raw) -> np.ndarray:
        """(side, side, 3) uint8 of an array (class, number)."""
        number, index = np.asarray(raw).tolist()
        return picture(self.seed, number, index, self.side)


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
        self._reader = FormulaReader(seed, pictures.side)
        self._read: Callable[[Sequence[Raw]], Inputs] = partial(read_inputs, self._reader)
        self._map: Callable[..., Iterable[Inputs]] = map
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
        missing = np.unique(rows[self._there[rows] == 0])
        if len(missing):
            self._pixels[missing] = self._rendered(missing)
            self._there[missing] = 1
        state: State = self.entry(State(torch.from_numpy(self._pixels[rows])))
        return state

    @contextmanager
    def by_workers(self) -> Iterator[None]:
        """Within it, what is missing is rendered by worker processes, one for each core, where it is much."""
        missing, here = int(np.count_nonzero(self._there == 0)), (self._read, self._map)
        with reading(self._reader, AT_ONCE, missing) as read, ThreadPoolExecutor(cores()) as threads:
            self._read, self._map = read, threads.map
            try:
                yield
            finally:
                self._read, self._map = here

    def _rendered(self, rows: np.ndarray) -> np.ndarray:
        """(rows, side, side, 3). Raises HeadstartError when a worker process is killed, as for want of memory."""
        asked = np.stack([rows % self.pictures.classes, rows // self.pictures.classes], axis=1)
        found = joined(list(self._map(self._read, map(list, np.array_split(asked, min(cores(), len(rows)))))))
        if found.failures:
            raise HeadstartError(f"a picture cannot be rendered: it {next(iter(found.failures.values()))}")
        return found.arrays


def discard(pictures: Pictures, seed: int, but: Sequence[Pictures] = ()) -> None:
    """Give the room of a pool back, unless one of `but` lies there too: the pictures can be made again."""
    for path in _files(pictures, seed):
        if not any(path in _files(other, seed) for other in but):
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
                if hasattr(os, "posix_fallocate"):  # else a full disk would be noticed as a crash
                    os.posix_fallocate(file.fileno(), 0, size)
        return np.memmap(path, np.uint8, "r+", shape=shape)
    except OSError as error:
        raise HeadstartError(f"no room for generated pictures in {path.parent}: {error.strerror or error}") from error
