"""Inputs that are read when a batch asks for them, for data too many to be looked at before the first step.

Several threads read the pictures of a batch, and what they decode to is kept as bytes while it fits into a fixed room,
so that small data are decoded once and large data take no more memory than small ones. What cannot be read is told of
the first time and left out from then on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise

import numpy as np
import torch

from headstart.contracts.backbone import Backbone, Reader
from headstart.contracts.carriers import State
from headstart.contracts.examples import Examples, Raw
from headstart.contracts.modality import raws_of
from headstart.engine.frozen.feeding import why_unreadable
from headstart.engine.frozen.reading import Inputs, joined, read_inputs
from headstart.kernel.errors import DataError
from headstart.kernel.processor import cores

KEPT_BYTES = 256 << 20
"""Decoded pictures that are kept in memory."""

MOST_THREADS = 8

Told = Callable[[int, str], None]
"""Called with the row of an input that cannot be read, and why."""


class LazyInputs:
    """A source of states at boundary 0. Ask `screen` first which of some rows can be read."""

    def __init__(self, backbone: Backbone, examples: Examples, told: Told, *, kept_bytes: int = KEPT_BYTES) -> None:
        """Read from `examples` as the backbone's preprocessing has it; `told` hears of what cannot be read."""
        self.backbone, self.examples, self.told = backbone, examples, told
        self.failures: dict[int, str] = {}
        self._reader = backbone.reader()
        self._lock = threading.RLock()
        each = 0 if self._reader is None else self._reader.nbytes
        self._room = min(len(examples), kept_bytes // each) if each else 0
        self._kept = np.empty(0, np.uint8)
        """(room, height, width, 3), once the first picture is there."""
        self._is_kept = np.zeros(len(examples), bool)
        self._last: tuple[np.ndarray, State] | None = None
        self._pool = ThreadPoolExecutor(min(MOST_THREADS, cores()), thread_name_prefix="read")

    def screen(self, rows: np.ndarray) -> np.ndarray:
        """Those of some rows (batch,) whose inputs can be read, in their order; they wait until they are asked for.

        Raises:
            DataError: none of them can be read.
        """
        with self._lock:
            rows = rows[[int(row) not in self.failures for row in rows]] if self.failures else rows
            if len(rows) and not self._waits(rows):
                rows = self._prepared(rows)
            if not len(rows):
                raise DataError(self._none_left())
            return rows

    def __call__(self, rows: np.ndarray) -> State:
        """The state of rows that can be read, on the CPU. Raises DataError where one cannot."""
        with self._lock:
            if len(self.screen(rows)) < len(rows):
                row = next(int(row) for row in rows if int(row) in self.failures)
                raise DataError(f"{self.examples.take([row]).origins()[0]} {self.failures[row]}")
            if self._last is None:
                raise DataError("no rows were requested")
            return self._last[1]

    def _waits(self, rows: np.ndarray) -> bool:
        return self._last is not None and np.array_equal(self._last[0], rows)

    def _prepared(self, rows: np.ndarray) -> np.ndarray:
        """Read rows, remember their state as the last one, and return those that could be read."""
        if self._reader is None:
            rows, state = self._together(rows)
        else:
            rows, pixels = self._one_by_one(rows, self._reader)
            state = self.backbone.entry(State(torch.from_numpy(pixels))) if len(rows) else None
        self._last = None if state is None else (rows, state)
        return rows

    def _together(self, rows: np.ndarray) -> tuple[np.ndarray, State | None]:
        raws = raws_of(self.examples, rows)
        try:
            return rows, self.backbone.prepare(raws)
        except DataError:
            reasons = [why_unreadable(self.backbone, raw) for raw in raws]
        for row, reason in zip(rows, reasons):
            if reason is not None:
                self._tell(int(row), reason)
        kept = [position for position, reason in enumerate(reasons) if reason is None]
        return rows[kept], self.backbone.prepare([raws[position] for position in kept]) if kept else None

    def _one_by_one(self, rows: np.ndarray, reader: Reader) -> tuple[np.ndarray, np.ndarray]:
        """Rows that could be read and their pictures (readable, height, width, 3), those that are kept from memory."""
        missing = rows[~self._is_kept[rows]]
        found = self._read(missing, reader) if len(missing) else Inputs(np.empty((0,), np.uint8), {})
        failed = missing[list(found.failures)]
        for row, reason in zip(failed, found.failures.values()):
            self._tell(int(row), reason)
        rows = rows[~np.isin(rows, failed)]
        old = self._is_kept[rows]
        if not old.any():
            pixels = found.arrays
        else:
            pixels = np.empty((len(rows), *self._kept.shape[1:]), self._kept.dtype)
            pixels[old] = self._kept[rows[old]]
            if not old.all():
                pixels[~old] = found.arrays
        self._keep(rows[~old], found.arrays)
        return rows, pixels

    def _keep(self, rows: np.ndarray, pictures: np.ndarray) -> None:
        if not len(rows):
            return
        if self._kept.ndim == 1:
            self._kept = np.empty((self._room, *pictures.shape[1:]), pictures.dtype)
        fits = rows < self._room
        self._kept[rows[fits]], self._is_kept[rows[fits]] = pictures[fits], True

    def _read(self, rows: np.ndarray, reader: Reader) -> Inputs:
        raws = raws_of(self.examples, rows)
        threads = min(len(raws), self._pool._max_workers)
        cuts = np.linspace(0, len(raws), threads + 1).astype(int)
        parts: list[list[Raw]] = [raws[start:stop] for start, stop in pairwise(cuts)]
        return joined(list(self._pool.map(partial(read_inputs, reader), parts)))

    def _tell(self, row: int, reason: str) -> None:
        self.failures[row] = reason
        self.told(row, reason)

    def _none_left(self) -> str:
        row, reason = next(iter(self.failures.items()), (0, "cannot be read"))
        origin = self.examples.take([row]).origins()[0]
        return f"a whole batch cannot be read, {len(self.failures)} inputs so far; {origin} {reason}"
