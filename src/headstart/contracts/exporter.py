"""Exporter: how a whole model is written for another runtime, as one graph of tensors, and run there again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
from torch import Tensor, nn

from headstart.contracts.runner import CannotRun
from headstart.kernel.contract import contract

Arrays = Mapping[str, np.ndarray]
"""Name -> array (batch, ...): what goes into an exported graph, and what comes out."""

Compute = Callable[[Arrays], Arrays]
"""An exported graph, opened by its runtime."""


class CannotExport(CannotRun):
    """A model, or a way of writing it, that a runtime does not take; the message says why."""


@dataclass(frozen=True)
class Graph:
    """A whole model as a function of tensors."""

    module: nn.Module
    """`(tensor, ...) -> (tensor, ...)`, in evaluation mode on the CPU."""
    inputs: tuple[str, ...]
    """Names of what goes in, in order."""
    outputs: tuple[str, ...]
    """Names of what comes out, in order."""
    example: tuple[Tensor, ...]
    """A real batch of two or more inputs."""
    axes: tuple[Mapping[int, str], ...]
    """For each input the axes whose sizes vary: 'batch' and lengths by name."""


@contract("exporters")
class Exporter(Protocol):
    """The contract of a file in `exporters/`."""

    ways: ClassVar[tuple[str, ...]]
    """How a graph can be written, the better way first; the next is tried where one gives other results."""
    checker: ClassVar[str]
    """Python source of a function `load(folder)` that returns what computes {name: array} of {name: array}. It needs
    only the runtime; numpy is imported as `np`."""

    def write(self, graph: Graph, folder: Path, way: str) -> None:
        """Write the graph in one of the `ways`. Raises CannotExport."""
        ...

    def open(self, folder: Path, inputs: Sequence[str], outputs: Sequence[str]) -> Compute:
        """Return what `write` has left in a folder, ready to run in float32; the names are the graph's.

        Raises:
            CannotExport: the runtime is missing, or does not take the files.
        """
        ...

    def quantise(self, folder: Path, inputs: Iterable[Sequence[np.ndarray]], names: Sequence[str]) -> None:
        """Replace the graph in a folder by one in int8, its ranges found on batches of real inputs.

        Raises:
            CannotExport: this runtime has none, or NNCF is missing.
        """
        ...
