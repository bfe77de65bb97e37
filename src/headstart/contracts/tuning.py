"""Tuning: which weights move, at what rates, and when. Data for the loop, no code in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, TypeVar

from pydantic import Field

from headstart.contracts.advice import Advice
from headstart.contracts.network import Network
from headstart.contracts.optimisation import Optimisation
from headstart.kernel.contract import contract
from headstart.kernel.settings import Settings

N = TypeVar("N", bound=Network)


@dataclass(frozen=True)
class Rate:
    """Speed of one stage."""

    stage: int
    """Index in `Backbone.stages`; -1 is everything that is not a backbone: heads and additions."""
    factor: float
    """Times the tuning's learning rate; >= 0."""
    start: float = 0.0
    """Share of the training after which the stage begins to move, in [0, 1): the schedule of unfreezing."""


@dataclass(frozen=True)
class TrainingStart:
    """Facts known just before the first step of a training."""

    head_learnt: bool
    """True for a head that knows the task: solved for on frozen features, or of the run that is continued."""
    relative_gradients: Callable[[], Sequence[float]]
    """Measures the task loss's gradient beside the weights, ||g|| / ||w||, of each stage (stages,) on some training
    batches; the same in a training that is resumed."""


@contract("tuning")
class Tuning(Settings):
    """Base of every tuning. One that trains by steps is a `Recipe`, which has more to say."""

    start: ClassVar[str] = "pretrained"
    """'pretrained', or 'random' for training from scratch."""
    solved: ClassVar[bool] = False
    """True when the task's own solver fits the head on frozen features and no loop runs."""
    retrieves: ClassVar[bool] = False
    """True where a memory of a decoder's states is the model and nothing is trained."""
    advice: ClassVar[Advice] = Advice()
    """For searches."""

    @property
    def cut_by_layers(self) -> bool:
        """Return whether the layer view is to say which stage is the first to move, by `cut_at`."""
        return False

    def cut_at(self, first: int, stages: int) -> Mapping[str, Any]:  # noqa: ARG002
        """Return the settings by which `first` of so many stages is the first to move; None takes one back."""
        return {}

    def first_stage(self, stages: int) -> int:  # noqa: ARG002
        """The first stage that moves; `stages` when the whole backbone is frozen."""
        return 0

    def rates(self, stages: int) -> tuple[Rate, ...]:
        """The head, and every stage that ever moves; what is not named is frozen."""
        return Rate(-1, 1.0), *(Rate(stage, 1.0) for stage in range(self.first_stage(stages), stages))


class Recipe(Tuning, Optimisation):
    """A tuning that trains by steps, with the settings of its optimisation."""

    beside: ClassVar[bool] = False
    """True where matrices beside the backbone's weights move and not these themselves; `adapted` puts them there."""
    head: ClassVar[Literal["fresh", "solved"]] = "fresh"
    """'solved': training starts from the head of the task's solver, where the task's head has that form."""

    stage_decay: float = Field(default=1.0, gt=0, le=1)
    """Each stage's rate as a share of that of the stage above it, the last stage having the full one; in (0, 1]."""
    renew_statistics: bool = False
    """BatchNorm of moving stages normalises by the batch and renews its statistics; else it keeps the pretrained ones,
    which few examples spoil."""

    def rates(self, stages: int) -> tuple[Rate, ...]:
        """The head, and the stages from the first on at rates that fall by `stage_decay` from the last one down."""
        moving = range(self.first_stage(stages), stages)
        return Rate(-1, 1.0), *(Rate(stage, self.stage_decay ** (stages - 1 - stage)) for stage in moving)

    def settled(self, rates: tuple[Rate, ...], training_start: TrainingStart) -> tuple[Rate, ...]:  # noqa: ARG002
        """`rates`, of the same stages, as a training uses them that begins so."""
        return rates

    def moves(self, parameter: str) -> bool:  # noqa: ARG002
        """Return True for a parameter of a moving stage that moves, by its name in `Network.module`."""
        return True

    def goes_back(self, parameter: str) -> bool:  # noqa: ARG002
        """Return True for a moving parameter that interpolation moves back; of a product one factor alone is."""
        return True

    def on(self, backbone: Network) -> Self:  # noqa: ARG002
        """Return the recipe with what only the backbone can say."""
        return self

    def check(self, backbone: Network) -> None:
        """Refuse a backbone on which nothing would move as it should, before anything runs. Raises SettingsError."""

    def adapted(self, backbone: N, seed: int) -> N:  # noqa: ARG002
        """The backbone with what is trained beside its own weights, in the same live modules; `seed` decides it all.

        The twin's stages name every parameter as it is then called; until `merge` the backbone itself must not be used.
        """
        return backbone

    def merge(self, backbone: Network) -> Mapping[str, int]:  # noqa: ARG002
        """Undo `adapted`, what was trained being added to the backbone's own weights; counts of it for the report."""
        return {}
