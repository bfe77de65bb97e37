"""Augmentation: random views of prepared inputs, made in batches; each a pure function of the example's own seed.

Some mix the examples of a batch instead: the batch then has two targets per example, and its loss is the weighted sum
of the losses of both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Protocol

from torch import Tensor

from headstart.contracts.carriers import Batch, State
from headstart.contracts.inputs import Pixels, Tokens
from headstart.kernel.settings import Settings

Losses = Callable[[Mapping[str, Tensor], Batch], Mapping[str, Tensor]]
"""(outputs, batch) -> named scalar terms: `Task.losses`."""


class Augmentation(Protocol):
    """What a file in `augmentations/` offers."""

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities whose inputs it can change; empty for those of every modality."""
        ...

    @property
    def mixes(self) -> bool:
        """Whether it mixes the examples of a batch, by `mix`."""
        ...

    def first_stage(self, stages: int) -> int:
        """0 when inputs change, so that a prefix can be stored of chosen views only; `stages` when none do."""
        ...

    def bind(self, inputs: Pixels | Tokens | None, examples: int) -> Augmentation:
        """The augmentation that knows what the numbers at boundary 0 stand for, and how many examples are trained on.

        Raises:
            SettingsError: it cannot act on such inputs.
        """
        ...

    def view(self, state: State, seeds: Sequence[int]) -> State:
        """A random view of the state at boundary 0; `seeds` has one entry per example and decides everything."""
        ...

    def move(self, maps: Tensor, seeds: Sequence[int]) -> Tensor:
        """Class maps (batch, height, width) of whole numbers, moved as `view` moves the pictures below them."""
        ...

    def mix(self, batch: Batch, seeds: Sequence[int]) -> Batch:
        """The batch with its examples mixed; all `seeds` together decide how."""
        ...


class InputViews(Settings):
    """What most augmentations are: a view of each input by itself, that moves nothing unless they say so."""

    mixes: ClassVar[bool] = False

    def first_stage(self, stages: int) -> int:  # noqa: ARG002
        """Inputs change."""
        return 0

    def bind(self, inputs: Pixels | Tokens | None, examples: int) -> Augmentation:  # noqa: ARG002
        """Itself: it acts on any numbers."""
        return self  # type: ignore[return-value]

    def move(self, maps: Tensor, seeds: Sequence[int]) -> Tensor:  # noqa: ARG002
        """The same maps (batch, height, width)."""
        return maps

    def mix(self, batch: Batch, seeds: Sequence[int]) -> Batch:  # noqa: ARG002
        """The same batch."""
        return batch


class Mixture(Settings):
    """What mixes the examples of a batch, and has no view of an example by itself."""

    mixes: ClassVar[bool] = True

    def first_stage(self, stages: int) -> int:  # noqa: ARG002
        """Inputs change."""
        return 0

    def bind(self, inputs: Pixels | Tokens | None, examples: int) -> Augmentation:  # noqa: ARG002
        """Itself: it acts on any numbers."""
        return self  # type: ignore[return-value]

    def view(self, state: State, seeds: Sequence[int]) -> State:  # noqa: ARG002
        """The same state."""
        return state

    def move(self, maps: Tensor, seeds: Sequence[int]) -> Tensor:  # noqa: ARG002
        """The same maps (batch, height, width)."""
        return maps


def augmented(augmentation: Augmentation, batch: Batch, seeds: Sequence[int]) -> Batch:
    """A batch's views, with the class maps over its pictures moved alike, and then mixed."""
    hidden = batch.state.hidden
    targets = {
        name: augmentation.move(values, seeds) if is_map_over(hidden, values) else values
        for name, values in batch.targets.items()
    }
    viewed = replace(batch, state=augmentation.view(batch.state, seeds), targets=targets)
    return augmentation.mix(viewed, seeds)


def is_map_over(hidden: Tensor, target: Tensor) -> bool:
    """Whether a target (batch, height, width) is a class map over the pictures (batch, channels, height, width)."""
    return is_map(target) and hidden.ndim == 4 and target.shape[1:] == hidden.shape[2:]


def is_map(target: Tensor) -> bool:
    """Whether a target is a class map: whole numbers (batch, height, width)."""
    return target.ndim == 3 and not target.is_floating_point()


def mixed_losses(losses: Losses) -> Losses:
    """The task's losses, of mixed batches as well: weight * loss(own targets) + (1 - weight) * loss(the others')."""

    def of_both(outputs: Mapping[str, Tensor], batch: Batch) -> Mapping[str, Tensor]:
        own = losses(outputs, batch)
        if batch.mixed is None:
            return own
        weight, others = batch.mixed.weight, losses(outputs, replace(batch, targets=batch.mixed.targets))
        return {name: weight * loss + (1 - weight) * others[name] for name, loss in own.items()}

    return of_both
