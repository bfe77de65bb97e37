"""A segment as a function of tensors, which is what compilers of graphs take: `(tensor, ...) -> (tensor, ...)`.

What a segment hands through untouched, such as a mask, stays outside the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.contracts.carriers import LENGTH_MASK, State


@dataclass(frozen=True)
class Signature:
    """What goes into the graph and what comes out, by name and in order."""

    context: tuple[str, ...]
    """Context entries that go in, after `hidden`."""
    outputs: tuple[str, ...]
    """'hidden', 'context.NAME' or 'taps.KEY'."""
    handed_through: tuple[str, ...]
    """Context entries that come out as they went in."""
    long: tuple[str, ...]
    """Outputs whose second axis is the length of the texts."""

    @staticmethod
    def of(segment: nn.Module, example: State) -> Signature:
        """Found by running the segment, on texts also with one more token of padding."""
        with torch.no_grad():
            result: State = segment(example)
            longer: State = segment(padded(example, 1)) if LENGTH_MASK in example.context else result
        same = tuple(name for name, value in result.context.items() if value is example.context.get(name))
        shapes, others = ({k: v.shape for k, v in named(state).items()} for state in (result, longer))
        outputs = tuple(name for name in shapes if name.removeprefix("context.") not in same)
        long = tuple(name for name in outputs if shapes[name] != others[name])
        return Signature(tuple(example.context), outputs, same, long)

    def inputs(self, state: State) -> tuple[Tensor, ...]:
        """The tensors that go in."""
        return (state.hidden, *(state.context[name] for name in self.context))

    def state(self, outputs: Sequence[Tensor], given: State) -> State:
        """What came out for `given`, perhaps after it was padded, as a state without that padding."""
        found = dict(zip(self.outputs, outputs))
        if self.long:
            length = given.context[LENGTH_MASK].shape[1]
            found |= {name: found[name][:, :length] for name in self.long}
        context = {name.removeprefix("context."): value for name, value in found.items() if name.startswith("context.")}
        taps = {name.removeprefix("taps."): value for name, value in found.items() if name.startswith("taps.")}
        handed = {name: given.context[name] for name in self.handed_through}
        return State(found["hidden"], {**handed, **context}, taps)

    def varying(self, state: State) -> tuple[tuple[bool, ...], ...]:
        """For each tensor that goes in, which of its axes differ from batch to batch: the batch's, and the length's."""
        has_length = LENGTH_MASK in self.context
        return tuple(
            tuple(axis == 0 or (axis == 1 and has_length) for axis in range(value.ndim)) for value in self.inputs(state)
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
        result = named(self.segment(State(hidden, dict(zip(self.signature.context, context)))))
        return tuple(result[name] for name in self.signature.outputs)


def named(state: State) -> dict[str, Tensor]:
    """Every tensor of a state: 'hidden', 'context.NAME', 'taps.KEY'."""
    return {
        "hidden": state.hidden,
        **{f"context.{name}": value for name, value in state.context.items()},
        **{f"taps.{key}": value for key, value in state.taps.items()},
    }


def padded(state: State, tokens: int) -> State:
    """Texts with so many more tokens of padding on the right, which the mask leaves out."""

    def longer(value: Tensor) -> Tensor:
        return functional.pad(value, (*(0, 0) * (value.ndim - 2), 0, tokens)) if value.ndim >= 2 else value

    return State(longer(state.hidden), {name: longer(value) for name, value in state.context.items()}, state.taps)
