"""A pool of generated pictures, each rendered when first needed and kept, uncompressed, in the cache.

It feeds batches as `PreparedInputs` does: rows -> state at boundary 0. A resumed training finds the pictures rendered
before. Large numbers of pictures are rendered by worker processes, one per core.
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
from recipes.formula.pictures import FORMAT_NUMBER, picture

AT_ONCE = 64
"""Pictures that a worker process renders in one call, at most."""


class Pictures(Settings):
    """The generated pictures of a phase."""

    classes: int = Field(ge=2)
    """Number of classes; >= 2."""
    per_class: int = Field(ge=1)
    """Training pictures per class; >= 1."""
    validation_per_class: int = Field(ge=1)
    """Further pictures per class for validation; >= 1."""
    side: int = Field(ge=16)
    """Height and width in pixels; >= 16."""


@dataclass(frozen=True)
class FormulaReader:
    """Renders a picture as other readers read a file, so that worker processes can do it."""

    seed: int
    """Seed of the classes."""
    side: int
    """Height and width in pixels."""

    @property
    def nbytes(self) -> int:
        """Bytes of a picture."""
        return 3 * self.side**2

    def __call__(self, raw: Raw) -> np.ndarray:
        """Render picture `raw` = (class, number): (side, side, 3) uint8."""
        number, index = np.asarray(raw).tolist()
        return picture(self.seed, number, index, self.side)


class FormulaPool:
    """The pictures of a phase. Row r is picture r // classes of class r % classes."""

    def __init__(self, pictures: Pictures, seed: int, entry: torch.nn.Module) -> None:
        """Open the pool in the cache, or create it.

        Args:
            pictures: their number and size. seed: of the classes.
            entry: the backbone's module from pixels to boundary 0.

        Raises:
            HeadstartError: the disk has no room for it.
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
        """Training rows, (examples,)."""
        return np.arange(self.pictures.classes * self.pictures.per_class)

    @property
    def validation(self) -> np.ndarray:
        """Validation rows, (examples,)."""
        return np.arange(len(self.train), len(self.labels))

    def __call__(self, rows: np.ndarray) -> State:
        """Return the state of the rows at boundary 0, on the CPU."""
        missing = np.unique(rows[self._there[rows] == 0])
        if len(missing):
            self._pixels[missing] = self._rendered(missing)
            self._there[missing] = 1
        state: State = self.entry(State(torch.from_numpy(self._pixels[rows])))
        return state

    @contextmanager
    def by_workers(self) -> Iterator[None]:
        """Render missing pictures in worker processes, one per core, if there are many of them."""
        missing, here = int(np.count_nonzero(self._there == 0)), (self._read, self._map)
        with reading(self._reader, AT_ONCE, missing) as read, ThreadPoolExecutor(cores()) as threads:
            self._read, self._map = read, threads.map
            try:
                yield
            finally:
                self._read, self._map = here

    def _rendered(self, rows: np.ndarray) -> np.ndarray:
        """Render pictures, (rows, side, side, 3). Raises HeadstartError when a worker process is killed."""
        asked = np.stack([rows % self.pictures.classes, rows // self.pictures.classes], axis=1)
        found = joined(list(self._map(self._read, map(list, np.array_split(asked, min(cores(), len(rows)))))))
        if found.failures:
            raise HeadstartError(f"a picture cannot be rendered: it {next(iter(found.failures.values()))}")
        return found.arrays


def discard(pictures: Pictures, seed: int, but: Sequence[Pictures] = ()) -> None:
    """Delete the files of a pool, unless one of `but` uses them too."""
    for path in _files(pictures, seed):
        if not any(path in _files(other, seed) for other in but):
            delete(path)


def _files(pictures: Pictures, seed: int) -> tuple[Path, Path]:
    """Return the file of the pixels and the file of flags, one byte per picture that has been rendered."""
    key = hash_json([FORMAT_NUMBER, seed, pictures.classes, pictures.side])
    folder = cache_folder() / "formula"
    return folder / f"{key}.pixels", folder / f"{key}.there"


def _mapped(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Map a file of bytes, zeros where nothing was written; a longer pool of the same pictures extends it."""
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
