"""Task: what is predicted, how outputs are read, lost, scored and shown. Targets are a named mapping of columns."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self

import numpy as np
from torch import Tensor, nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import Batch, Features, MapShape, Prediction
from headstart.contracts.examples import Examples, Raw
from headstart.contracts.metric import Metric
from headstart.contracts.panels import Choice, Mistake, Panel, Review
from headstart.contracts.targets import TargetKinds
from headstart.contracts.windows import Windows
from headstart.kernel.errors import BackboneError, SettingsError
from headstart.kernel.settings import Settings

Targets = Mapping[str, np.ndarray]
"""Target name -> array whose first axis is the example; ragged and `Deferred` targets are object arrays."""

Reads = Literal["pooled", "tokens", "maps"]
"""Which of the features a head reads."""

ChosenBy = Literal["loss", "metric"]
"""What of a validation pass the best epoch is known by: see `Task.chosen_by`."""


class Task(Protocol):
    """What a file in `tasks/` offers. A task is bound to data before use: binding fills in class names and the like."""

    reads: ClassVar[Reads]
    """What its head reads; a backbone without it is refused."""
    chosen_by: ClassVar[ChosenBy]
    """What of a validation pass says which epoch was the best: the loss, which sees the least change, or the primary
    metric, where the loss is mostly of examples that the metric does not count."""
    one_class: ClassVar[bool]
    """Whether each example has one class, whose number is the target 'label'."""
    has_files: ClassVar[bool]
    """Whether `files` writes any."""
    target_kinds: ClassVar[TargetKinds]
    """The kind of each of the `targets`."""

    @property
    def side(self) -> int | None:
        """Pixels of the square that pictures are framed in whole; None for the backbone's own framing."""
        ...

    @classmethod
    def suits(cls, examples: Examples) -> str | None:
        """Why this task fits the data's targets, in a few words; None when it does not."""
        ...

    @classmethod
    def review(cls, examples: Examples) -> Review:
        """What labels of more than a value per example say of themselves; called where the task suits them."""
        ...

    def bind(self, examples: Examples) -> Self:
        """The task with everything learnt from the labelled data: class names, counts, target scale.

        Raises:
            DataError: the targets cannot serve: one class, mixed kinds, missing values.
        """
        ...

    def require_learnt(self, calibration: Mapping[str, float]) -> None:
        """Refuse a saved task, or a calibration beside it, that `bind` and `calibrate` cannot have left.

        Raises:
            SettingsError: names what is wrong, such as a temperature of 0.
        """
        ...

    def choices(self) -> tuple[Choice, ...]:
        """What it chose when it was bound and the data do not plainly say."""
        ...

    def warnings(self, examples: Examples) -> tuple[str, ...]:
        """What is to be known before predicting for examples, labelled or not, that are unlike those it learnt from."""
        ...

    def continued(self, examples: Examples) -> Self:
        """This bound task for more data: what it knows stays in its place, new classes come after it.

        Raises:
            DataError: as `bind`, or the labels are of a kind that it cannot take.
        """
        ...

    def targets(self, examples: Examples) -> Targets:
        """The targets encoded for training. Raises DataError on a value that binding did not see."""
        ...

    def head_inputs(self, examples: Examples) -> Targets:
        """What `apply` must know of each example beside its features, with labels or without; see `Batch.queries`."""
        ...

    def cut(self, examples: Examples, backbone: Backbone) -> Windows | None:
        """Examples longer than the backbone reads in pieces that overlap; None where it reads each of them whole."""
        ...

    def merged(self, prediction: Prediction, windows: Windows) -> Prediction:
        """The decoded prediction of pieces as one of the examples that they were cut from."""
        ...

    def labels(self, examples: Examples) -> Sequence[Any]:
        """The target of each example as a table shows it: a class name, a number, the classes in a picture."""
        ...

    def tally(self, labels: Sequence[Any]) -> Mapping[str, int]:
        """How often what is predicted occurs in some of the `labels`, by name: examples of a class, spans of a type."""
        ...

    def strata(self, targets: Targets) -> np.ndarray:
        """(examples,) int: what a stratified split keeps in proportion."""
        ...

    def strata_names(self, strata: np.ndarray, labels: Sequence[Any]) -> Sequence[str]:
        """What each of the `strata` (examples,) of the examples with these labels is called, from number 0 on."""
        ...

    def head(self, width: int, maps: tuple[MapShape, ...] = ()) -> nn.Module:
        """A fresh head for pooled features or tokens of that width; one that reads maps is given their shapes."""
        ...

    def linear(self) -> Self:
        """The task whose `head` has the form that `solve` returns: itself where its head is linear."""
        ...

    def samples(self, features: Features, batch: Batch, seed: int) -> tuple[np.ndarray, Targets, np.ndarray]:
        """Tokens or pixels of a batch as `solve` takes them: (samples, width), their targets, and (samples,) the
        position in the batch. Called where `reads` is not 'pooled'."""
        ...

    def apply(self, head: nn.Module, features: Features, batch: Batch) -> Mapping[str, Tensor]:
        """Named outputs of the head; sees the batch, for teacher forcing and candidates."""
        ...

    def losses(self, outputs: Mapping[str, Tensor], batch: Batch) -> Mapping[str, Tensor]:
        """Named scalar loss terms, to be summed."""
        ...

    def weight(self, batch: Batch) -> float:
        """How much the mean losses of a batch count beside those of others: by its examples, words or pixels; >= 0."""
        ...

    def decode(self, outputs: Mapping[str, Tensor]) -> Prediction:
        """Outputs as plain arrays, one row per example, before calibration."""
        ...

    def calibrate(self, prediction: Prediction, targets: Targets) -> Mapping[str, float]:
        """Calibration fitted on validation data, such as {"temperature": 1.3}; empty where there is nothing to fit."""
        ...

    def finish(self, prediction: Prediction, calibration: Mapping[str, float]) -> Prediction:
        """The decoded prediction with calibrated scores added; what metrics and users see."""
        ...

    def metrics(self) -> tuple[Metric, ...]:
        """The first is the primary one."""
        ...

    def solve(
        self, features: np.ndarray, targets: Targets, groups: np.ndarray | None, seed: int
    ) -> tuple[nn.Module, dict[str, float]]:
        """The best linear head on frozen features (examples, width), its regularisation chosen by cross-validation.

        Where `reads` is not 'pooled', features and targets are those of `samples`.
        Returns the head, in the form `head(width)` has, and what was chosen, for the report.
        """
        ...

    def rows(self, prediction: Prediction) -> Mapping[str, np.ndarray]:
        """The columns that `predict` writes, one value per example."""
        ...

    def files(self, prediction: Prediction, raws: Sequence[Raw], names: Sequence[str], folder: Path) -> list[str]:
        """Write what is too large for a cell, such as masks, to name + suffix below `folder`; return these paths."""
        ...

    def panels(self, prediction: Prediction, targets: Targets) -> tuple[Panel, ...]:
        """What the report shows of the predictions beside the metrics."""
        ...

    def mistakes(self, prediction: Prediction, targets: Targets, most: int) -> tuple[Mistake, ...]:
        """The worst predictions, worst first, at most `most`."""
        ...


class PlainTask(Settings):
    """What most tasks are: one value per example, read off pooled features by a linear head."""

    reads: ClassVar[Reads] = "pooled"
    chosen_by: ClassVar[ChosenBy] = "loss"
    one_class: ClassVar[bool] = False
    has_files: ClassVar[bool] = False

    @property
    def side(self) -> int | None:
        """The backbone's own framing."""
        return None

    @classmethod
    def review(cls, examples: Examples) -> Review:  # noqa: ARG003
        """Nothing."""
        return Review()

    def require_learnt(self, calibration: Mapping[str, float]) -> None:
        """Nothing but that the calibration is of finite numbers. Raises SettingsError."""
        for name, number in calibration.items():
            if not math.isfinite(number):
                raise SettingsError(f"calibration.{name} = {number} is not finite")

    def choices(self) -> tuple[Choice, ...]:
        """Nothing."""
        return ()

    def warnings(self, examples: Examples) -> tuple[str, ...]:  # noqa: ARG002
        """Nothing."""
        return ()

    def continued(self, examples: Examples) -> Self:
        """Bound once more, with all that it knows as if it had been given."""
        return self.bind(examples)  # type: ignore[attr-defined]

    def head_inputs(self, examples: Examples) -> Targets:  # noqa: ARG002
        """Nothing."""
        return {}

    def cut(self, examples: Examples, backbone: Backbone) -> Windows | None:  # noqa: ARG002
        """Every example is read whole."""
        return None

    def merged(self, prediction: Prediction, windows: Windows) -> Prediction:  # noqa: ARG002
        """Nothing was cut."""
        return prediction

    def labels(self, examples: Examples) -> Sequence[Any]:
        """The target as it stands in the data."""
        return examples.target()

    def tally(self, labels: Sequence[Any]) -> Mapping[str, int]:
        """Examples with each label."""
        return Counter(str(label) for label in labels)

    def strata_names(self, strata: np.ndarray, labels: Sequence[Any]) -> Sequence[str]:
        """A class by its name, a range of a number by its ends; of `strata` (examples,)."""
        held: dict[int, list[Any]] = {}
        for stratum, label in zip(strata.tolist(), labels):
            held.setdefault(stratum, []).append(label)
        ends = [(min(held[k]), max(held[k])) if k in held else ("", "") for k in range(int(strata.max()) + 1)]
        return [f"{low}" if low == high else f"{low} to {high}" for low, high in ends]

    def linear(self) -> Self:
        """Itself."""
        return self

    def weight(self, batch: Batch) -> float:
        """By its examples."""
        return float(len(batch.rows))

    def samples(self, features: Features, batch: Batch, seed: int) -> tuple[np.ndarray, Targets, np.ndarray]:  # noqa: ARG002
        """Nothing but pooled features is read. Raises BackboneError."""
        raise BackboneError(f"{type(self).__name__} reads {self.reads} features and samples none")

    def files(self, prediction: Prediction, raws: Sequence[Raw], names: Sequence[str], folder: Path) -> list[str]:  # noqa: ARG002
        """None."""
        return []
