"""A segment as a function of tensors, which is what compilers of graphs take: `(tensor, ...) -> (tensor, ...)`.

What a segment hands through untouched, such as a mask, stays outside the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from headstart.contracts.carriers import BESIDE, LENGTH_MASK, State


@dataclass(frozen=True)
class Signature:
    """Inputs and outputs of the graph, by name and in order."""

    context: tuple[str, ...]
    """Context entries that go in, after `hidden`."""
    outputs: tuple[str, ...]
    """'hidden', 'context.NAME' or 'taps.KEY'."""
    handed_through: tuple[str, ...]
    """Context entries that come out as they went in."""

    @staticmethod
    def of(segment: nn.Module, example: State) -> Signature:
        """Found by running the segment."""
        with torch.no_grad():
            result: State = segment(example)
        same = tuple(name for name, value in result.context.items() if value is example.context.get(name))
        outputs = tuple(name for name in result.tensors() if name.removeprefix("context.") not in same)
        return Signature(tuple(example.context), outputs, same)

    def inputs(self, state: State) -> tuple[Tensor, ...]:
        """The tensors that go in."""
        return (state.hidden, *(state.context[name] for name in self.context))

    def state(self, outputs: Sequence[Tensor], given: State) -> State:
        """Return what came out for `given`."""
        handed = {f"context.{name}": given.context[name] for name in self.handed_through}
        return State.of({**handed, **dict(zip(self.outputs, outputs))})

    def varying(self, state: State) -> tuple[tuple[bool, ...], ...]:
        """For each tensor that goes in, which of its axes differ from batch to batch: the batch's, and the length's."""
        lengths = [LENGTH_MASK in self.context and name != BESIDE for name in ("", *self.context)]
        return tuple(
            tuple(axis == 0 or (axis == 1 and has_length) for axis in range(value.ndim))
            for value, has_length in zip(self.inputs(state), lengths)
        )


class Flat(nn.Module):
    """The segment between its signature's tensors."""

    def __init__(self, segment: nn.Module, signature: Signature) -> None:
        """Wrap the segment."""
        super().__init__()
        self.segment = segment
        self.signature = signature

    def forward(self, hidden: Tensor, *context: Tensor) -> tuple[Tensor, ...]:
        """From `hidden` (batch, ...) and the context, each (batch, ...), to the outputs, each (batch, ...)."""
        result: State = self.segment(State(hidden, dict(zip(self.signature.context, context))))
        tensors = result.tensors()
        return tuple(tensors[name] for name in self.signature.outputs)
