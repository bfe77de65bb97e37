"""A whole model as one function of tensors: backbone, head and what of decoding can be done on tensors alone.

What goes in is what the backbone's reader gives, stacked, such as uint8 pixels, or the tensors of its prepared state;
after these whatever `forward` of the task asks of the examples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from headstart.contracts.carriers import BESIDE, LENGTH_MASK, State
from headstart.contracts.computed_outputs import answering
from headstart.contracts.exporter import CannotExport, Graph
from headstart.contracts.features import Features
from headstart.contracts.model import Model
from headstart.contracts.prediction import Prediction
from headstart.contracts.recommender import HasCandidates
from headstart.contracts.task import BoundTask, Tensors
from headstart.contracts.task_capabilities import DecodesTensors
from headstart.engine.frozen.averaged_views import averaged_views
from headstart.engine.frozen.feature_spec import FeatureSpec, FrozenSegment, features_of
from headstart.kernel import registry
from headstart.kernel.errors import first_line

HIDDEN = "input"
"""Name of what goes in first."""


class WholeModel(nn.Module):
    """`(tensor, ...) -> (tensor, ...)`; see `graph_of`."""

    def __init__(self, model: Model, context: tuple[str, ...], asked: tuple[str, ...]) -> None:
        """Share the model's live weights; `context` and `asked` name what goes in after the first tensor."""
        super().__init__()
        self.segment = FrozenSegment(model.backbone, FeatureSpec(model.task.needs.features))
        self.head = model.heads["head"]
        self._model, self._context, self._asked = model, context, asked

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return the values of `named`, in their order."""
        return tuple(self.named(*tensors).values())

    def named(self, hidden: Tensor, *others: Tensor) -> Tensors:
        """The outputs of the task's `forward`, and calibrated answers where it has them on tensors."""
        context = dict(zip(self._context, others))
        return self.outputs(State(hidden, context), dict(zip(self._asked, others[len(context) :])))

    def outputs(self, state: State, inputs: Tensors) -> Tensors:
        """As `named`, of a state as it is fed."""
        task = self._model.task
        found = dict(task.forward(self.head, features_of(self.segment(state)), inputs))
        if isinstance(task, DecodesTensors):
            found |= task.decoded(found, self._model.calibration)
        return found


def graph_of(model: Model, state: State, inputs: Tensors) -> Graph:
    """Return the graph of a model.

    Args:
        state: a real batch of two or more examples, as it is fed to the model; on the CPU.
        inputs: what the task's `inputs` are of these examples, collated.

    Raises:
        CannotExport: predictions of the model do not rest on one pass of tensors alone.
    """
    if averaged_views(model.execution) is not None:
        raise CannotExport("its predictions are means over several views of an input, which one graph does not make")
    if isinstance(model.backbone, HasCandidates):
        raise CannotExport(
            "its recommenders look histories up among all items, which is no graph of tensors; headstart predict lists"
            " items by the run itself"
        )
    task, read = model.task, _Read(inputs)
    _require_one_pass(model, state, inputs)
    with torch.no_grad():
        first = WholeModel(model, (), ()).outputs(state, read)
    asked = tuple(name for name in inputs if name in read.names)
    module = WholeModel(model, tuple(state.context), asked)
    tensors = tuple(first.values())
    if not all(isinstance(value, Tensor) for value in tensors):
        raise CannotExport(f"the outputs of the task '{registry.name_of(task)}' are not tensors alone")
    example = (state.hidden, *state.context.values(), *(inputs[name] for name in asked))
    names = (HIDDEN, *state.context, *asked)
    axes = (*axes_of(state), *({0: "batch", 1: name} if inputs[name].ndim > 1 else {0: "batch"} for name in asked))
    return Graph(module.eval(), names, tuple(first), example, axes)


def decoded(task: BoundTask, outputs: Tensors, inputs: Tensors) -> Prediction:
    """Decode outputs of a task's `forward` that were computed elsewhere; not finished yet."""
    some = next(iter(outputs.values()))
    return answering(task, outputs).predict(nn.Identity(), Features(torch.empty(len(some), 0)), inputs)


def axes_of(state: State) -> tuple[Mapping[int, str], ...]:
    """Return the axes of a batch that vary: the batch's, and the length's of whatever has one."""
    has_length = LENGTH_MASK in state.context
    return tuple(
        {0: "batch", 1: "length"} if has_length and name != f"context.{BESIDE}" and value.ndim > 1 else {0: "batch"}
        for name, value in state.tensors().items()
    )


def _require_one_pass(model: Model, state: State, inputs: Tensors) -> None:
    """Raises CannotExport where a task predicts by anything but one call of its `forward`."""
    task, name, calls = model.task, registry.name_of(model.task), list[int]()

    def counted(head: nn.Module, features: Features, asked: Tensors) -> Tensors:
        calls.append(1)
        return task.forward(head, features, asked)

    twin = task.model_copy()
    object.__setattr__(twin, "forward", counted)
    with torch.no_grad():
        features = features_of(FrozenSegment(model.backbone, FeatureSpec(task.needs.features))(state))
        twin.predict(model.heads["head"], features, inputs)
    if len(calls) != 1:
        raise CannotExport(f"the task '{name}' does not predict by one pass of its head")
    try:
        with torch.no_grad():
            decoded(task, task.forward(model.heads["head"], features, inputs), inputs)
    except (AttributeError, RuntimeError, TypeError, IndexError, ValueError) as error:
        raise CannotExport(f"the task '{name}' decodes more than its outputs: {first_line(error)}") from error


class _Read(dict[str, Any]):
    """A mapping that notes what is read of it."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.names.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)

    def __iter__(self) -> Iterator[str]:
        self.names |= {*super().__iter__()}
        return super().__iter__()
