"""Reading inputs one by one with a backbone's reader, in a thread or in a worker process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from headstart.contracts.backbone import Reader
from headstart.contracts.examples import Raw
from headstart.kernel.errors import DataError


class Inputs(NamedTuple):
    """Inputs that were read, and those that could not be."""

    arrays: np.ndarray
    """(readable, ...): what the reader gave, in the order of the inputs."""
    failures: dict[int, str]
    """Position of each other input -> why it could not be read."""


def read_inputs(reader: Reader, raws: Sequence[Raw]) -> Inputs:
    """Read every input; one that cannot be read is left out."""
    arrays: list[np.ndarray] = []
    failures: dict[int, str] = {}
    for position, raw in enumerate(raws):
        try:
            arrays.append(reader(raw))
        except DataError as error:
            failures[position] = str(error)
    return Inputs(np.stack(arrays) if arrays else np.empty((0,), np.uint8), failures)


def joined(parts: Sequence[Inputs]) -> Inputs:
    """Join several lists of inputs into one."""
    arrays: list[np.ndarray] = []
    failures: dict[int, str] = {}
    start = 0
    for part in parts:
        failures |= {start + position: reason for position, reason in part.failures.items()}
        start += len(part.arrays) + len(part.failures)
        if len(part.arrays):
            arrays.append(part.arrays)
    return Inputs(np.concatenate(arrays) if arrays else np.empty((0,), np.uint8), failures)
