"""Weighting: source examples, or classes, count as much as the target asks for."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, NamedTuple

import numpy as np

from headstart.contracts.domains import Domains, LinearHead, ShiftKind, Solve
from headstart.kernel.complete import Complete
from headstart.kernel.contract import contract
from headstart.kernel.settings import Settings


class Weighted(NamedTuple):
    """Weights to solve a head with; one of the fields is given."""

    weights: np.ndarray | None = None
    """(source examples,) >= 0, with mean 1: each counts so much when the head is solved."""
    ratios: np.ndarray | None = None
    """(classes,) >= 0: share in the target over share in the source. The head is solved on the source as it is, and
    log(ratio) is added to its bias (Saerens et al. 2002)."""
    votes: tuple[tuple[float, LinearHead], ...] = ()
    """Heads that vote, each with its weight > 0: the probability is the weighted mean of theirs."""

    @property
    def effective(self) -> float:
        """Effective sample size of the weights, (sum w)^2 / sum w^2 (Kish 1965); NaN without any."""
        if self.weights is None:
            return float("nan")
        return float(self.weights.sum() ** 2 / np.square(self.weights).sum())


@contract("weighting")
class Weighting(Settings, Complete):
    """The contract of a file in `weighting/`."""

    title: ClassVar[str]
    """Its name in tables: 'kernel mean matching'."""
    kinds: ClassVar[tuple[ShiftKind, ...]]
    """Diagnosed kinds of shift under which it may be tried."""
    needs_target_labels: ClassVar[bool] = False
    """True where some examples of the target must have labels."""

    @abstractmethod
    def weigh(self, domains: Domains, solve: Solve, seed: int) -> Weighted:
        """Return the weights; `solve` solves the probe's head. Raises DataError where the data do not allow any."""
