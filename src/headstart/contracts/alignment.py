"""Alignment: a closed form that brings the features of two domains together, so that a head of one serves the other."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import numpy as np

from headstart.contracts.domains import Domains, ShiftKind
from headstart.kernel.complete import Complete
from headstart.kernel.contract import contract
from headstart.kernel.settings import Settings


class Aligned(NamedTuple):
    """Source features where a head is solved, and the affine map that brings target features there.

    A linear head (W, b) of aligned features is the head (W matrix^T, b + W offset) of target features as they are: what
    is saved is an ordinary head."""

    source: np.ndarray
    """(source examples, width') float32"""
    matrix: np.ndarray
    """(width, width') float64"""
    offset: np.ndarray
    """(width',) float64; target features x become x @ matrix + offset."""
    move: Callable[[np.ndarray], np.ndarray]
    """Further source features (examples, width) -> (examples, width'), as `source` was moved."""

    def target(self, features: np.ndarray) -> np.ndarray:
        """(examples, width) of the target -> (examples, width') float32."""
        return (features @ self.matrix + self.offset).astype(np.float32)


@contract("alignment")
class Alignment(Settings, Complete):
    """The contract of a file in `alignment/`."""

    title: ClassVar[str]
    """Its name in tables: 'CORAL'."""
    kinds: ClassVar[tuple[ShiftKind, ...]]
    """Diagnosed kinds of shift under which it may be tried."""

    @abstractmethod
    def align(self, domains: Domains, seed: int) -> Aligned:
        """Bring the domains together. Labels of the source may be used. Raises DataError where that is impossible."""
