"""Score: a number computed from frozen features and labels that tells how well a backbone suits them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple, Protocol

import numpy as np

from headstart.contracts.task import BoundTask, Targets
from headstart.kernel.complete import Complete
from headstart.kernel.contract import contract
from headstart.kernel.settings import Settings


class HeldOut(Protocol):
    """A fold of labelled examples."""

    @property
    def rest(self) -> np.ndarray:
        """Rows to learn from, (rows,) ascending."""
        ...

    @property
    def held(self) -> np.ndarray:
        """All other rows, (rows,) ascending."""
        ...


class LabelledFeatures(NamedTuple):
    """Features that a score is computed from."""

    features: np.ndarray
    """(examples, width) finite float32; of tokens or pixels where the task is `Sampled`."""
    targets: Targets
    """As `BoundTask.targets` encodes them; of tokens or pixels their class numbers, as 'label'."""
    folds: Sequence[HeldOut]
    """Folds of the examples that cut no group, for scores that hold examples out."""


@contract("scores")
class Score(Settings, Complete):
    """The contract of a file in `scores/`."""

    title: ClassVar[str]
    """Its name in tables: 'LogME'."""
    unit: ClassVar[str] = ""
    """As `Metric.unit`."""

    @classmethod
    @abstractmethod
    def suits(cls, task: BoundTask) -> bool:
        """Return whether it is defined for the targets of a task."""

    @abstractmethod
    def score(self, data: LabelledFeatures) -> float:
        """Return the score: more is better, NaN where the data do not define it."""
