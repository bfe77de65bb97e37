"""Task: what is predicted. Settings that a user may set, and what is learnt from the data, are two objects.

`Task` holds the settings. `Task.bind` learns the rest from examples and gives a `BoundTask`, which trains, predicts and
judges (`Evaluation`). How it is shown is in `contracts/presentation.py`, what only some tasks can do in
`contracts/task_capabilities.py`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, Self

import numpy as np
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from headstart.contracts.examples import Examples
from headstart.contracts.features import Features, MapShape
from headstart.contracts.metric import Metric
from headstart.contracts.prediction import Prediction
from headstart.contracts.targets import TargetKinds
from headstart.kernel.complete import Complete
from headstart.kernel.contract import contract

Targets = Mapping[str, np.ndarray]
"""Target name -> array whose first axis is the example; ragged and `Deferred` targets are object arrays."""

Tensors = Mapping[str, Tensor]
"""Name -> tensor (batch, ...): the outputs of a head, the targets of a batch, or its `Batch.head_inputs`."""

Calibration = Mapping[str, float]
"""Numbers fitted on validation data, such as {"temperature": 1.3}."""


@dataclass(frozen=True)
class Evaluation:
    """The figures of merit of a task, and the calibration of its predictions."""

    metrics: tuple[Metric, ...]
    """The first is the primary one."""
    calibrate: Callable[[Prediction, Targets], Calibration] = lambda *_: {}
    """Fits the calibration on validation data; empty where there is nothing to fit."""
    finish: Callable[[Prediction, Calibration], Prediction] = lambda prediction, _: prediction
    """Adds calibrated scores to a prediction, with {} uncalibrated ones: what metrics and users see."""
    chosen_by: Literal["loss", "metric"] = "loss"
    """What tells the best epoch: the loss, which sees the least change, or the primary metric, where the loss is mostly
    of examples that the metric does not count."""

    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Number that `calibrate` may give -> its least and greatest value."""

    @property
    def primary(self) -> Metric:
        """The metric that models are compared by."""
        return self.metrics[0]


class Needs(NamedTuple):
    """Demands of a head on the backbone; one that cannot meet them is refused."""

    features: Literal["pooled", "tokens", "maps"] = "pooled"
    """The features that the head reads."""
    side: int | None = None
    """Pixels of the square that pictures are framed in whole; None for the backbone's own framing."""
    strides: tuple[int, ...] = ()
    """Of the maps that the head reads, where it does not read all that there are."""
    generates: bool = False
    """Whether the backbone must have a decoder, which then takes the place of a head."""


class FeatureSource(Protocol):
    """A backbone, as tasks see it."""

    width: int
    """Of the pooled features and of tokens."""

    def maps(self) -> tuple[MapShape, ...]:
        """Return the shapes of `Features.maps`, finest first; empty where there are none."""
        ...


class SplitPolicy(NamedTuple):
    """Demands of a task on the split of its examples."""

    strata: np.ndarray
    """(examples,) int: what a stratified split keeps in proportion."""
    names: Sequence[str]
    """What each stratum is called, from number 0 on."""
    held: Sequence[Sequence[int]] | None = None
    """For each example the numbers of all its classes, where it may have several; None where it has its stratum's."""


@contract("tasks")
class Task(Protocol):
    """Settings of a task: what a file or folder in `tasks/` offers, with only what a user may set."""

    @classmethod
    def suits(cls, examples: Examples) -> str | None:
        """Return why this task fits the data's targets, in a few words; None when it does not."""
        ...

    def split_policy(self, examples: Examples) -> SplitPolicy:
        """Return how labelled examples are to be split. Raises DataError as `bind`."""
        ...

    def bind(self, examples: Examples, backbone: FeatureSource) -> BoundTask:
        """Learn from labelled examples: class names, counts, target scale.

        Raises:
            DataError: the targets cannot serve: one class, mixed kinds, missing values.
        """
        ...

    def restore(self, learnt: Mapping[str, Any]) -> BoundTask:
        """Return the bound task that learnt these JSON values; unknown ones are left out. Raises ValidationError."""
        ...


class BoundTask(BaseModel, Complete):
    """A task bound to data. Its fields are `settings`, the `Task` that it was bound by, and what was learnt."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    target_kinds: ClassVar[TargetKinds]
    """The kind of each of the `targets`."""

    @property
    def needs(self) -> Needs:
        """Features that its head needs from the backbone: pooled ones."""
        return Needs()

    @property
    @abstractmethod
    def evaluation(self) -> Evaluation:
        """Return how its predictions are calibrated and judged."""

    @abstractmethod
    def targets(self, examples: Examples) -> Targets:
        """Encode the targets for training. Raises DataError on a value that binding did not see."""

    def inputs(self, examples: Examples) -> Targets:  # noqa: ARG002
        """Return what the head must know of each example beside its features, with labels or without: nothing."""
        return {}

    @abstractmethod
    def head(self, backbone: FeatureSource) -> nn.Module:
        """Return a fresh head for the backbone's features."""

    def linear(self) -> Self:
        """Return the task with a linear head, which can be solved for (`ClosedForm`): itself where its own head is."""
        return self

    @abstractmethod
    def forward(self, head: nn.Module, features: Features, inputs: Tensors) -> Tensors:
        """Return the named outputs of the head, each (batch, ...)."""

    @abstractmethod
    def losses(self, outputs: Tensors, targets: Tensors) -> Tensors:
        """Return named scalar loss terms, to be summed: means over the batch (batch, ...)."""

    @abstractmethod
    def predict(self, head: nn.Module, features: Features, inputs: Tensors) -> Prediction:
        """Decode the predictions of a batch (batch, ...), before calibration; without any look at targets."""
