"""Baseline: a classical model without pretrained weights, which every fit is held against. It trains in seconds.

A baseline knows the modality of the inputs and the kind of the target, and no task: its scores become predictions by
the task's own `FromScores`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from headstart.contracts.examples import Examples
from headstart.contracts.modality import Modality
from headstart.contracts.prediction import Prediction
from headstart.contracts.task import BoundTask, Targets
from headstart.kernel.complete import Complete
from headstart.kernel.contract import contract
from headstart.kernel.settings import Settings

Scores = Callable[[Examples, Targets], np.ndarray]
"""Examples with their `BoundTask.inputs` -> their scores, as `FromScores.from_scores` takes them."""


@runtime_checkable
class FromScores(Protocol):
    """A bound task whose predictions can be made from the scores of any model."""

    @property
    def outputs(self) -> int:
        """Number of scores that each decision is made from: classes, labels, tags, or 1 for a quantity."""
        ...

    def from_scores(self, scores: np.ndarray, inputs: Targets) -> Prediction:
        """Return the predictions before calibration.

        Args:
            scores: (examples, outputs) float64: logits, or quantities in the unit of the target. For words and pixels
                (examples,) of (words, outputs) or (outputs, height, width), height and width being the picture's own;
                for boxes (examples,) of (boxes, 4 + outputs): edges in the picture's own pixels, and probabilities.
            inputs: `BoundTask.inputs` of the examples.
        """
        ...


@dataclass(frozen=True)
class Labelled:
    """Examples that a baseline learns from."""

    examples: Examples
    targets: Targets
    inputs: Targets
    """As `BoundTask.inputs`."""
    outputs: int
    """As `FromScores.outputs`."""
    weights: np.ndarray | None = None
    """(examples,) weight of each; None where all count alike."""


@contract("baselines")
class Baseline(Settings, Complete):
    """The contract of a file in `baselines/`."""

    title: ClassVar[str]
    """Its name: 'TF-IDF with a linear model'."""
    strengths: ClassVar[Sequence[float]] = (1.0,)
    """Regularisation settings to choose from on validation data; the first is taken without any."""
    informed: ClassVar[bool] = True
    """False where the inputs play no part."""

    @classmethod
    @abstractmethod
    def suits(cls, modality: Modality, task: BoundTask) -> bool:
        """Return whether it can learn this task from inputs of this modality."""

    @abstractmethod
    def fit(self, data: Labelled, strengths: Sequence[float], seed: int) -> Mapping[float, Scores]:
        """Learn from labelled examples, once for each of the strengths."""
