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
from headstart.contracts.inputs import InputKind
from headstart.contracts.target_movement import Follows, Size, kind_of
from headstart.contracts.targets import TargetKind, TargetKinds
from headstart.kernel import registry
from headstart.kernel.contract import contract
from headstart.kernel.errors import SettingsError
from headstart.kernel.settings import Settings

Losses = Callable[[Mapping[str, Tensor], Batch], Mapping[str, Tensor]]
"""(outputs, batch) -> named scalar terms: `Task.losses`."""


@contract("augmentations")
class Augmentation(Protocol):
    """Contract of a file in `augmentations/`.

    One that moves what lies in an input has `move_maps` or `move_points` too: targets moved by these follow, others
    with a place are refused. One whose views may lack an end has a true `cuts`, and targets of the whole are refused.
    """

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities whose inputs it can change; empty for those of every modality."""
        ...

    @property
    def moves(self) -> bool:
        """Return whether anything in an input changes its place, or is hidden from view."""
        ...

    @property
    def mixes(self) -> bool:
        """Return whether it mixes the examples of a batch, by `mix`."""
        ...

    def mixable(self, kind: TargetKind) -> bool:
        """Return whether a mixture of targets of this kind is defined."""
        ...

    def first_stage(self, stages: int) -> int:
        """0 when inputs change, so that a prefix can be stored of chosen views only; `stages` when none do."""
        ...

    def bind(self, inputs: InputKind | None, examples: int) -> Augmentation:
        """The augmentation that knows what the numbers at boundary 0 stand for, and how many examples are trained on.

        Raises:
            SettingsError: it cannot act on such inputs.
        """
        ...

    def view(self, state: State, seeds: Sequence[int]) -> State:
        """A random view of the state at boundary 0; `seeds` has one entry per example and decides everything."""
        ...

    def move(self, kind: TargetKind, values: Tensor, seeds: Sequence[int], size: Size) -> Tensor:
        """Return targets (batch, ...) of a kind over the views of inputs that had this size. Raises SettingsError."""
        ...

    def mix(self, batch: Batch, seeds: Sequence[int], kinds: TargetKinds) -> Batch:
        """Return the batch with its examples mixed; all `seeds` together decide how."""
        ...


class InputViews(Settings):
    """A view of each input by itself. It may move anything, unless it says that it `moves` nothing."""

    moves: ClassVar[bool] = True
    mixes: ClassVar[bool] = False
    one_to_one: ClassVar[bool] = True

    def mixable(self, kind: TargetKind) -> bool:  # noqa: ARG002
        """Nothing is mixed."""
        return True

    def first_stage(self, stages: int) -> int:  # noqa: ARG002
        """Inputs change."""
        return 0

    def bind(self, inputs: InputKind | None, examples: int) -> Augmentation:  # noqa: ARG002
        """Itself: it acts on any numbers."""
        return self  # type: ignore[return-value]

    def move(self, kind: TargetKind, values: Tensor, seeds: Sequence[int], size: Size) -> Tensor:
        """Return targets (batch, ...) moved as their kind says. Raises SettingsError where it does not say."""
        part: Augmentation = self  # type: ignore[assignment]
        if not part.moves:
            return values
        if not isinstance(kind, Follows) or not kind.movable(part):
            raise SettingsError(f"{_cannot_move(part, kind)}. Use --augmentation none.")
        return kind.moved(values, part, seeds, size)

    def mix(self, batch: Batch, seeds: Sequence[int], kinds: TargetKinds) -> Batch:  # noqa: ARG002
        """The same batch."""
        return batch


class Mixture(Settings):
    """Mixes the examples of a batch, and has no view of an example by itself."""

    moves: ClassVar[bool] = False
    mixes: ClassVar[bool] = True

    def mixable(self, kind: TargetKind) -> bool:
        """Those of which the loss of a mixture is the weighted sum of both losses."""
        return kind.additive

    def first_stage(self, stages: int) -> int:  # noqa: ARG002
        """Inputs change."""
        return 0

    def bind(self, inputs: InputKind | None, examples: int) -> Augmentation:  # noqa: ARG002
        """Itself: it acts on any numbers."""
        return self  # type: ignore[return-value]

    def view(self, state: State, seeds: Sequence[int]) -> State:  # noqa: ARG002
        """The same state."""
        return state

    def move(self, kind: TargetKind, values: Tensor, seeds: Sequence[int], size: Size) -> Tensor:  # noqa: ARG002
        """The same targets (batch, ...)."""
        return values


def augmented(augmentation: Augmentation, batch: Batch, seeds: Sequence[int], kinds: TargetKinds) -> Batch:
    """Return a batch's views, with the targets moved alike, and then mixed.

    Raises:
        SettingsError: a target's kind cannot follow, or be mixed, or is not known.
    """
    size = batch.state.hidden.shape[2:]
    targets = moved_targets(augmentation, batch.targets, seeds, kinds, size)
    viewed = replace(batch, state=augmentation.view(batch.state, seeds), targets=targets)
    return augmentation.mix(viewed, seeds, kinds)


def moved_targets(
    augmentation: Augmentation, targets: Mapping[str, Tensor], seeds: Sequence[int], kinds: TargetKinds, size: Size
) -> dict[str, Tensor]:
    """Return targets (batch, ...) over the views of inputs that had this size. Raises SettingsError as `augmented`."""
    return {name: augmentation.move(kind_of(name, kinds), values, seeds, size) for name, values in targets.items()}


def fault_of(part: Augmentation, kinds: TargetKinds) -> str | None:
    """Return which targets an augmentation cannot move or mix; None where it can act on all."""
    for name, kind in kinds.items():
        if part.moves and not (isinstance(kind, Follows) and kind.movable(part)):
            return f"{_cannot_move(part, kind)} ('{name}')"
        if part.mixes and not part.mixable(kind):
            return f"augmentation '{registry.name_of(part)}' cannot mix targets of kind '{kind.title}' ('{name}')"
    return None


def _cannot_move(part: Augmentation, kind: TargetKind) -> str:
    return f"augmentation '{registry.name_of(part)}' cannot move targets of kind '{kind.title}'"


def mixed_losses(losses: Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], Mapping[str, Tensor]]) -> Losses:
    """The task's losses, of mixed batches as well: weight * loss(own targets) + (1 - weight) * loss(the others')."""

    def of_both(outputs: Mapping[str, Tensor], batch: Batch) -> Mapping[str, Tensor]:
        own = losses(outputs, batch.targets)
        if batch.mixed is None:
            return own
        weight, others = batch.mixed.weight, losses(outputs, batch.mixed.targets)
        return {name: weight * loss + (1 - weight) * others[name] for name, loss in own.items()}

    return of_both
