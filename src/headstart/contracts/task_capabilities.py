"""Capabilities that a task has or has not, each a protocol that is asked for by `isinstance`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, Self, TypeGuard, runtime_checkable

import numpy as np
import pyarrow as pa

from headstart.contracts.backbone import Backbone
from headstart.contracts.examples import Examples, Raw
from headstart.contracts.features import Features
from headstart.contracts.linear_model import LinearModel
from headstart.contracts.metric import Metric
from headstart.contracts.panels import Panel
from headstart.contracts.prediction import Prediction
from headstart.contracts.target_kinds import CLASS_IDS
from headstart.contracts.task import BoundTask, Calibration, FeatureSource, SplitPolicy, Targets, Tensors
from headstart.contracts.windows import Windows


@runtime_checkable
class ClosedForm(Protocol):
    """A bound task whose head can be solved for: the frozen probe."""

    def linear(self) -> BoundTask:
        """Return the task whose head is linear, with a "weight" and a "bias" alone: itself where its own head is."""
        ...

    def linear_model(self, targets: Targets, seed: int) -> LinearModel:
        """Return the model of these targets; where the head does not read pooled features, of `Sampled.samples`."""
        ...


@runtime_checkable
class Sampled(ClosedForm, Protocol):
    """A bound task with a target per token or pixel, which is solved on some of them."""

    def samples(
        self, features: Features, inputs: Tensors, targets: Tensors, rows: Sequence[int], seed: int
    ) -> tuple[np.ndarray, Targets, np.ndarray]:
        """Return tokens or pixels of a batch with these rows, as a linear head takes them.

        Returns:
            (samples, width), their targets, and (samples,) the position of each in the batch.
        """
        ...


@runtime_checkable
class Windowed(Protocol):
    """A bound task whose examples may be longer than the backbone reads at once."""

    def cut(self, examples: Examples, backbone: Backbone) -> Windows | None:
        """Cut long examples into windows that overlap; None where the backbone reads each of them whole."""
        ...

    def merged(self, prediction: Prediction, windows: Windows) -> Prediction:
        """Join the decoded prediction of windows to one of the examples that they were cut from."""
        ...


@runtime_checkable
class SeveralAnswers(Protocol):
    """A bound task whose loss is the mean over several answers to each example, as over the labels of a set."""

    @property
    def answers(self) -> int:
        """Return how many there are: so many times the loss is the negative log-likelihood of an example."""
        ...


@runtime_checkable
class Sums(Protocol):
    """A bound task whose losses are made of sums over a batch and may be no means over its examples.

    `losses` is `losses_of` the `sums` of the batch. Those of a batch in parts are added up first.
    """

    @property
    def in_sums(self) -> bool:
        """Return whether that is so by the task's settings; without, its losses are means over examples."""
        ...

    def sums(self, outputs: Tensors, targets: Tensors) -> Tensors:
        """Return named sums over the examples of a batch, of shapes that do not depend on it."""
        ...

    def losses_of(self, sums: Tensors) -> Tensors:
        """Return the named loss terms, each a scalar, of sums that may be of several batches."""
        ...


def made_of_sums(task: BoundTask | None) -> TypeGuard[Sums]:
    """Return whether the losses of a task are made of sums over a batch."""
    return isinstance(task, Sums) and task.in_sums


@runtime_checkable
class FromOutputs(Protocol):
    """A bound task whose predictions are made of the outputs of its head, so that it need not run twice."""

    def predicted(self, outputs: Tensors, inputs: Tensors) -> Prediction:
        """Return what `predict` does, of the outputs of `forward`."""
        ...


@runtime_checkable
class Extends(Protocol):
    """A bound task that can go on in a later run: what it knows stays in its place, new classes come after it."""

    def split_policy(self, examples: Examples) -> SplitPolicy:
        """Return how labelled examples are to be split, as `Task.split_policy` does."""
        ...

    def extended(self, examples: Examples, backbone: FeatureSource) -> Self:
        """Return this task bound to more data.

        Raises:
            DataError: as `Task.bind`, or the labels are of a kind that it cannot take.
        """
        ...


@runtime_checkable
class SeveralTasks(Protocol):
    """A bound task that is made of several, each of which may lack labels of some examples."""

    @property
    def tasks(self) -> Mapping[str, BoundTask]:
        """Return the tasks by name; a head has as many parts, in this order, and the losses are a term for each."""
        ...

    @property
    def primaries(self) -> Mapping[str, Metric]:
        """Return each task's primary metric, as it is among the metrics of all."""
        ...

    def known(self, name: str, targets: Targets) -> np.ndarray:
        """Return which examples (examples,) bool have a label of that task."""
        ...

    def targets_of(self, name: str, targets: Targets) -> Targets:
        """Return the targets of that task alone; where an example has none, another's stands in."""
        ...

    def joined(self, predictions: Mapping[str, Prediction]) -> Prediction:
        """Return the predictions of the tasks, each of the same examples, as one of them all."""
        ...


@runtime_checkable
class ReadsWithin(Protocol):
    """A task that reads what stands within labels, such as lists of names: it is asked before those that take labels as
    a whole, and where it suits the data these are not asked."""

    reads_within: ClassVar[bool]


@runtime_checkable
class ReadsTarget(Protocol):
    """A task with one target of its own name: a format whose labels can be read in several ways gives that one."""

    target: ClassVar[str]
    """The name in `Schema.targets`."""


class KnownHistories(NamedTuple):
    """Users of another domain and what they had there."""

    users: pa.Array
    """(users,) strings, each once."""
    items: pa.ChunkedArray
    """(users,) lists of strings."""


@runtime_checkable
class CutsHistories(Protocol):
    """A task whose examples are cut within: of each user a history, and as the target what came after it."""

    def cut(self, examples: Examples, source: KnownHistories | None, seed: int, *, contents: bool = False) -> Examples:
        """Return rows with histories, targets and parts, from one row per user; `contents` says whether those of items
        are known.

        Raises:
            DataError: nothing connects the source with the data, or nothing is left to judge by.
        """
        ...


@runtime_checkable
class SetsTraining(Protocol):
    """A bound task whose head learns better by other settings of a recipe than most."""

    def training(self) -> Mapping[str, Any]:
        """Return values of `Optimisation`'s fields where the user gives none: batch size, rates."""
        ...


class DoubtfulLabel(NamedTuple):
    """A label that looks wrong."""

    row: int
    kind: str
    """Such as 'wrong class'."""
    score: float
    """By which they are ranked, the least sure first."""
    given: str
    likely: str
    detail: str


class Foresight(NamedTuple):
    """Knowledge of what a head can reach, before any is trained."""

    panels: tuple[Panel, ...]
    sentences: tuple[str, ...]
    doubtful: tuple[DoubtfulLabel, ...] = ()


@runtime_checkable
class Foresees(Protocol):
    """A bound task that probes frozen features of parts of its inputs, such as boxes, before its head is trained."""

    def foresight(
        self, batches: Iterable[tuple[np.ndarray, Features, Tensors]], groups: np.ndarray | None, seed: int
    ) -> Foresight:
        """Return what probes of frozen features tell.

        Args:
            batches: rows of the examples, their features and their targets.
            groups: what is kept together (all examples,), where there is something; None for single examples.
        """
        ...


@runtime_checkable
class CountsLabels(Protocol):
    """A bound task whose examples have any number of labels each, such as boxes: what a label curve counts."""

    label_unit: ClassVar[str]
    """What the labels are, in the plural: 'boxes'."""

    def label_counts(self, targets: Targets) -> np.ndarray:
        """Return the number of labels of each example, (examples,) int."""
        ...


@runtime_checkable
class Doubts(Protocol):
    """A bound task that tells by predictions of what was not learnt from which labels look wrong."""

    def doubts(self, prediction: Prediction, targets: Targets) -> tuple[DoubtfulLabel, ...]:
        """Return the labels that calibrated predictions of the same examples contradict, by their rows here."""
        ...


@runtime_checkable
class MayCollapse(Protocol):
    """A bound task whose training can end in a state that it does not leave, such as CTC's blanks alone."""

    def collapse(self, prediction: Prediction, epoch: int, steps: int) -> str:
        """Return what is wrong and the remedy, by predictions after an epoch of that number and so many steps; '' where
        nothing is."""
        ...


class Choice(NamedTuple):
    """A choice that a task made by itself when it was bound, reported to the user."""

    what: str
    value: str
    reason: str
    """Why, and how to have it otherwise."""


@runtime_checkable
class Remarks(Protocol):
    """A bound task with something to tell its user."""

    def choices(self) -> tuple[Choice, ...]:
        """Return what it chose when it was bound and the data do not plainly say."""
        ...

    def warnings(self, examples: Examples) -> tuple[str, ...]:
        """Return what is to be known before predicting for examples that are unlike those it learnt from."""
        ...


@runtime_checkable
class WritesFiles(Protocol):
    """A presentation of predictions that are too large for the cell of a table, such as masks."""

    def files(self, prediction: Prediction, raws: Sequence[Raw], names: Sequence[str], folder: Path) -> list[str]:
        """Write a file per example below `folder`, called after its name, a path without suffix; return the files.

        None are returned where one file holds the predictions of all examples: see `FinishesFiles`.
        """
        ...


@runtime_checkable
class FinishesFiles(WritesFiles, Protocol):
    """One with a file for the predictions of all examples, which may be too many to be held at once."""

    def finish(self, folder: Path) -> None:
        """Write what is left to be written below `folder` once `files` has had all examples."""
        ...


@runtime_checkable
class ShowsFrames(Protocol):
    """A presentation of what is predicted of examples that follow one another in time, as the frames of a video do."""

    def frames(
        self, name: str, prediction: Prediction, times: np.ndarray, picture: Callable[[int], Any]
    ) -> Panel | None:
        """Return a panel of examples of one group, in the order of time; None where there is nothing to show.

        Args:
            name: of the group. times: (examples,) seconds. picture: the picture of an example, by its place here.
        """
        ...


@runtime_checkable
class SeveralRows(Protocol):
    """A presentation that has any number of rows for an example in the table of `predict`, such as one for each box."""

    def rows(self, prediction: Prediction) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
        """Return how many rows (examples,), each >= 1, every example has, and the columns (rows,) in their place."""
        ...


@runtime_checkable
class Covers(Protocol):
    """A presentation of predictions that can be widened until they hold the truth with a given chance."""

    def misfit(self, prediction: Prediction, targets: Targets) -> np.ndarray:
        """Return how badly the truth fits each finished prediction, (examples,), the greater the worse."""
        ...

    def within(self, prediction: Prediction, radius: float) -> Mapping[str, np.ndarray]:
        """Return columns (examples,) of all answers whose misfit would be at most the radius."""
        ...


@runtime_checkable
class Margins(Protocol):
    """A bound task without one class per example that tells how sure its predictions are."""

    def margins(self, prediction: Prediction) -> np.ndarray:
        """Return the mean difference (examples,) in [0, 1] between the probabilities of the two likeliest answers."""
        ...


@runtime_checkable
class DecodesTensors(Protocol):
    """A bound task whose calibrated answers can be computed by operations on tensors, within an exported graph."""

    def decoded(self, outputs: Tensors, calibration: Calibration) -> Tensors:
        """Return named answers, each (batch, ...), of the outputs of `forward`."""
        ...


def one_class_each(task: BoundTask) -> bool:
    """Return whether each example has one class, whose number is the target 'label'."""
    return task.target_kinds.get("label") == CLASS_IDS


def is_linear(task: BoundTask) -> bool:
    """Return whether the task's own head is the linear one that can be solved for."""
    return isinstance(task, ClosedForm) and task.linear() == task


def learnt_of(task: BoundTask) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the settings of a bound task and what it learnt, as JSON values."""
    learnt = task.model_dump(mode="json")
    return learnt.pop("settings"), learnt
