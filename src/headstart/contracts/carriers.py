"""State and batch: what travels from stage to stage, and through training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor

LENGTH_MASK = "attention_mask"
"""The context entry (batch, length) that is nonzero at real tokens. Beside it the second axis of every context tensor
with one but `BESIDE`, of token vectors and of taps as maps is the length."""

PLACES = "places"
"""The context entry (batch, length, 2), whole numbers, of the characters of its text that each token stands for: from
the first to before the last, equal for a token that stands for none. Only backbones that were asked have it."""


BESIDE = "beside"
"""The context entry (batch, numbers) of what stands beside a text, such as columns of a table. It has no length."""


class Tap(NamedTuple):
    """A wish to see an earlier boundary of a segment."""

    boundary: str
    """Name of the boundary: the stage just before it."""
    form: str = "pooled"
    """'pooled' (batch, width) or 'map' (the hidden tensor as it is)."""

    @property
    def key(self) -> str:
        """The name under which the tap lies in `State.taps` and in the store."""
        return f"{self.boundary}.{self.form}"


@dataclass(frozen=True)
class State:
    """Tensors that flow from stage to stage. At boundary 0 `hidden` is the prepared input: pixels or token numbers."""

    hidden: Tensor
    """(batch, ...)"""
    context: Mapping[str, Tensor] = field(default_factory=dict)
    """What later stages need beside it, by name, each (batch, ...): masks, lengths, token types."""
    taps: Mapping[str, Tensor] = field(default_factory=dict)
    """`Tap.key` -> (batch, width) or (batch, ...)."""

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor, each (batch, ...), by name: 'hidden', 'context.NAME' and 'taps.KEY'."""
        return {
            "hidden": self.hidden,
            **{f"context.{name}": value for name, value in self.context.items()},
            **{f"taps.{key}": value for key, value in self.taps.items()},
        }

    @staticmethod
    def of(tensors: Mapping[str, Tensor]) -> State:
        """The state that has these `tensors()`, each (batch, ...)."""

        def below(kind: str) -> dict[str, Tensor]:
            return {name.removeprefix(kind): value for name, value in tensors.items() if name.startswith(kind)}

        return State(tensors["hidden"], below("context."), below("taps."))

    def map(self, change: Callable[[Tensor], Tensor]) -> State:
        """The same state with every tensor (batch, ...) changed."""
        return State.of({name: change(value) for name, value in self.tensors().items()})

    def to(self, device: Any) -> State:
        """The same state on another device."""
        return self.map(lambda value: value.to(device))


@dataclass(frozen=True)
class Mixed:
    """The other half of a batch whose inputs were mixed: its loss is weight * L(targets of the batch) + (1 - weight) *
    L(these targets), as in mixup."""

    targets: Mapping[str, Tensor]
    """As `Batch.targets`, of the examples that were mixed in."""
    weight: float
    """Share of the batch's own examples, in [0, 1]."""


@dataclass(frozen=True)
class Batch:
    """Some examples on their way through a model."""

    state: State
    """At boundary 0, or at a later one when the prefix was stored."""
    targets: Mapping[str, Tensor]
    """Target name -> (batch, ...), collated by its kind. Empty for an unlabelled stream."""
    rows: Tensor
    """(batch,) int64: the row of each example in its `Examples`."""
    head_inputs: Mapping[str, Tensor] = field(default_factory=dict)
    """What the head must know of each example, by name, without labels: the words to tag. Ragged ones are padded on the
    right: whole numbers with -100, others with NaN."""
    mixed: Mixed | None = None
    """What was mixed into the inputs; None where each is one example's."""

    def to(self, device: Any) -> Batch:
        """The same batch on another device; the rows stay."""

        def moved(named: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return {name: value.to(device) for name, value in named.items()}

        mixed = None if self.mixed is None else Mixed(moved(self.mixed.targets), self.mixed.weight)
        state, targets, asked = self.state.to(device), moved(self.targets), moved(self.head_inputs)
        return Batch(state, targets, self.rows, asked, mixed)
