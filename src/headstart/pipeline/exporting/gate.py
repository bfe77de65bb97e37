"""The gate of an export: the written graph against plain PyTorch on real validation examples, in batches of 1, 2 and 7.

A graph in float32 passes where no output is further off than 1e-3 of its norm and no decision has changed. A decision
may change where all outputs of its example agree within 1e-4 of their size: that is a tie, which rounding settles.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from headstart.contracts.examples import Examples
from headstart.contracts.exporter import Arrays, CannotExport, Compute, Graph
from headstart.contracts.model import Model
from headstart.contracts.prediction import Prediction
from headstart.contracts.presentation import presentation_of
from headstart.contracts.targets import collated
from headstart.contracts.task import BoundTask, Calibration, Tensors
from headstart.engine.exported.whole_graph import decoded
from headstart.engine.frozen.feeding import feed_batches

MOST_DIFFERENCE = 1e-3
"""Norm of the difference of an output as a share of its norm, over all examples."""
TIE = 1e-4
"""Difference of the outputs of one example, as a share of the greatest, at which another decision is a tie."""
SIZES = (1, 2, 7)
"""Examples of a batch, in turn."""


class Prepared(NamedTuple):
    """A batch as the graph takes it."""

    rows: np.ndarray
    tensors: tuple[Tensor, ...]
    """The state: `hidden`, then its context."""
    context: tuple[str, ...]
    """Names of the tensors after the first."""
    asked: Tensors
    """What decoding asks of the examples."""


@dataclass
class Compared:
    """The sums of squares of differences, and the predictions of both sides."""

    apart: dict[str, float] = field(default_factory=dict)
    norm: dict[str, float] = field(default_factory=dict)
    changed: list[int] = field(default_factory=list)
    """Rows whose decisions differ, ties left out."""
    ties: int = 0
    ours: list[Prediction] = field(default_factory=list)
    theirs: list[Prediction] = field(default_factory=list)
    rows: list[np.ndarray] = field(default_factory=list)

    @property
    def difference(self) -> float:
        """The greatest relative difference of an output; inf where one is no number."""
        shares = [np.sqrt(self.apart[name]) / max(np.sqrt(self.norm[name]), 1e-12) for name in self.apart]
        greatest = float(np.max(shares, initial=0.0))
        return greatest if np.isfinite(greatest) else float("inf")

    @property
    def examples(self) -> int:
        """Number of those compared."""
        return sum(map(len, self.rows))

    def joined(self, model: Model) -> tuple[np.ndarray, Prediction, Prediction]:
        """Their rows, and the finished predictions of plain PyTorch and of the graph."""
        finish = model.task.evaluation.finish
        both = (finish(Prediction.join(parts), model.calibration) for parts in (self.ours, self.theirs))
        return np.concatenate(self.rows), *both  # type: ignore[return-value]

    def fault(self, origins: Sequence[str]) -> str:
        """Why the graph does not pass; '' where it does."""
        if self.difference > MOST_DIFFERENCE:
            return f"its outputs differ from plain PyTorch's by {self.difference:.2g} of their norm, more than 0.001"
        if self.changed:
            first = origins[self.changed[0]]
            return f"{len(self.changed)} of {self.examples} predictions are others than plain PyTorch's, first: {first}"
        return ""


def prepared(model: Model, examples: Examples, sizes: Sequence[int] = SIZES) -> Iterator[Prepared]:
    """The examples in batches of these sizes in turn, as the graph takes them; without those that cannot be read."""
    batches, start = list[np.ndarray](), 0
    for size in cycle(sizes):
        if start >= len(examples):
            break
        batches.append(np.arange(start, min(start + size, len(examples))))
        start += size
    task_inputs = model.task.inputs(examples)
    for fed in feed_batches(model.backbone, examples, batches, batch_size=max(sizes), total=len(examples)):
        if fed.state is not None:
            asked = {name: collated(values[fed.rows]) for name, values in task_inputs.items()}
            state = fed.state.to("cpu")
            yield Prepared(fed.rows, (state.hidden, *state.context.values()), tuple(state.context), asked)


def arrays_of(graph: Graph, batch: Prepared) -> Arrays:
    """Return the inputs of the graph by name."""
    own = len(batch.tensors)
    asked = (batch.asked[name] for name in graph.inputs[own:])
    return {name: np.ascontiguousarray(value.numpy()) for name, value in zip(graph.inputs, (*batch.tensors, *asked))}


Decide = Callable[[Arrays, Prepared], tuple[Prediction | None, Sequence[Any]]]
"""(outputs, batch) -> the predictions of the batch, where outputs are enough for any, and each example's decision."""


def compare_all(graph: Graph, compute: Compute, batches: Sequence[Prepared], decide: Decide) -> Compared:
    """Run both sides on all batches. Raises CannotExport where the graph fails or has other shapes."""
    found = Compared()
    for batch in batches:
        arrays = arrays_of(graph, batch)
        with torch.inference_mode():
            values = graph.module(*[torch.from_numpy(array) for array in arrays.values()])
        expected = {name: value.numpy() for name, value in zip(graph.outputs, values)}
        given = compute(arrays)
        _note(found, batch, expected, given, decide)
    if not found.rows:
        raise CannotExport("no validation example can be read")
    return found


def deciding(model: Model) -> Decide:
    """Decide as a model does."""

    def decide(outputs: Arrays, batch: Prepared) -> tuple[Prediction, Sequence[Any]]:
        tensors = {name: torch.from_numpy(np.array(value)) for name, value in outputs.items()}
        prediction = decoded(model.task, tensors, batch.asked)
        return prediction, decisions(model.task, prediction, model.calibration)

    return decide


def _note(found: Compared, batch: Prepared, expected: Arrays, given: Arrays, decide: Decide) -> None:
    close = np.ones(len(batch.rows), bool)
    for name, ours in expected.items():
        theirs = given.get(name)
        if theirs is None or theirs.shape != ours.shape:
            shape = "nothing" if theirs is None else f"shape {theirs.shape}"
            raise CannotExport(f"its output '{name}' has {shape} for a batch of {len(ours)}; expected {ours.shape}")
        if not np.issubdtype(ours.dtype, np.floating):
            continue
        ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
        apart = ours - theirs
        found.apart[name] = found.apart.get(name, 0.0) + float((apart**2).sum())
        found.norm[name] = found.norm.get(name, 0.0) + float((ours**2).sum())
        axes = tuple(range(1, ours.ndim))
        close &= np.abs(apart).max(axis=axes, initial=0.0) <= TIE * np.abs(ours).max(axis=axes, initial=1e-12)
    (mine, decided), (other, changed) = decide(expected, batch), decide(given, batch)
    different = np.array([one != another for one, another in zip(decided, changed)], bool)
    found.changed += batch.rows[different & ~close].tolist()
    found.ties += int((different & close).sum())
    if mine is not None and other is not None:
        found.ours.append(mine)
        found.theirs.append(other)
    found.rows.append(batch.rows)


def decisions(task: BoundTask, prediction: Prediction, calibration: Calibration) -> list[list[Any]]:
    """Return the decisions on each example: all that is shown of it or comes out but numbers with a fraction."""
    finished = task.evaluation.finish(prediction, calibration)
    table = presentation_of(task).columns(finished)
    shown = [values for name, values in table.items() if name.rpartition(" ")[2] == "prediction"]  # of each task
    columns = [values for values in finished.columns.values() if not np.issubdtype(values.dtype, np.floating)]
    return [[_decision(values[row]) for values in (*shown, *columns)] for row in range(len(finished))]


def _decision(value: Any) -> Any:
    """A value without its fractions."""
    if isinstance(value, (float, np.floating)):
        return None
    if isinstance(value, np.ndarray):
        return None if np.issubdtype(value.dtype, np.floating) else value.tolist()
    if isinstance(value, str) and value[:1] in "[{":
        try:
            return _decision(json.loads(value))
        except ValueError:
            return value
    if isinstance(value, Mapping):
        return {name: _decision(one) for name, one in value.items()}
    return [_decision(one) for one in value] if isinstance(value, (list, tuple)) else value
