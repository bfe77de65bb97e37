"""Tuning: which weights move, at what rates, and when. Data for the loop, no code in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, Self

from pydantic import Field, model_validator

from headstart.contracts.backbone import Backbone
from headstart.kernel.settings import Settings


@dataclass(frozen=True)
class Rate:
    """How fast one stage moves."""

    stage: int
    """Index in `Backbone.stages`; -1 is everything that is no backbone: heads and additions."""
    factor: float
    """Times the tuning's learning rate; >= 0."""
    start: float = 0.0
    """Share of the training after which the stage begins to move, in [0, 1): the schedule of unfreezing."""


@dataclass(frozen=True)
class TrainingStart:
    """What is known of a training that is about to begin."""

    head_learnt: bool
    """Whether the head is one that knows the task: solved for on frozen features, or of the run that is continued."""
    relative_gradients: Callable[[], Sequence[float]]
    """Measures the task loss's gradient beside the weights, ||g|| / ||w||, of each stage (stages,) on some training
    batches; the same in a training that is resumed."""


@dataclass(frozen=True)
class DataFacts:
    """What is known of the data and the backbone before a search for the best tuning begins."""

    examples: int
    """That are trained on."""
    stages: int
    """Of the backbone."""
    linear: bool
    """Whether the task's head is a linear one, which the task's solver can find."""
    attention: bool
    """Whether the backbone is a transformer."""
    modality: str = "table"
    """Of the data: 'image', 'text' or 'table'."""
    one_class: bool = False
    """Whether each example has one class."""


@dataclass(frozen=True)
class Suggestion:
    """A way of tuning that a search should try."""

    order: int
    """What comes first is tried in the shortest time; ways of equal order stand side by side."""
    reason: str
    """Why it may be best on such data."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the recipe, beside its defaults."""


class Tuning(Protocol):
    """What a file in `tuning/` offers. One that trains by steps is a `Recipe`, which has more to say."""

    start: ClassVar[str]
    """'pretrained', or 'random' for training from scratch."""
    solved: ClassVar[bool]
    """True when the task's own solver fits the head on frozen features and no loop runs."""

    def first_stage(self, stages: int) -> int:
        """The first stage that moves; `stages` when the whole backbone is frozen."""
        ...

    def rates(self, stages: int) -> tuple[Rate, ...]:
        """Every stage that ever moves, and the head; what is not named is frozen."""
        ...


class Recipe(Settings):
    """The settings of training by steps: AdamW (Loshchilov & Hutter 2019), cosine decay (Loshchilov & Hutter 2017)."""

    beside: ClassVar[bool] = False
    """Whether matrices beside the backbone's weights move and not these themselves; `adapted` puts them there."""
    head: ClassVar[Literal["fresh", "solved"]] = "fresh"
    """'solved': training starts from the head of the task's solver, where the task's head has that form."""

    epochs: int = Field(default=20, ge=1)
    """Passes over the training data at most; where not given, more over few, for about 400 steps, up to 100; >= 1."""
    max_steps: int | None = Field(default=None, ge=1)
    """Optimiser steps at most, all epochs together; None: as many as the epochs have; >= 1."""
    batch_size: int = Field(default=32, ge=1)
    """Examples per optimiser step; >= 1."""
    learning_rate: float = Field(default=1e-4, gt=0)
    """Peak rate of the backbone; > 0."""
    head_learning_rate: float = Field(default=1e-3, gt=0)
    """Peak rate of heads and additions; > 0."""
    rates_tried: tuple[float, ...] = Field(default=(1.0,), min_length=1)
    """Factors on both rates; each is tried and the best on validation is kept."""
    stage_decay: float = Field(default=1.0, gt=0, le=1)
    """Each stage's rate as a share of that of the stage above it, the last stage having the full one; in (0, 1]."""
    weight_decay: float = Field(default=0.01, ge=0)
    """AdamW's decoupled decay; biases and normalisation weights have none; >= 0."""
    warmup: float = Field(default=0.1, ge=0, lt=1)
    """Share of the steps over which the rate rises linearly from 0; in [0, 1)."""
    renew_statistics: bool = True
    """Whether BatchNorm of a moving stage normalises by the batch and renews its running statistics."""
    clip: float = Field(default=1.0, ge=0)
    """Greatest norm of the gradient; 0 switches clipping off; >= 0."""
    patience: int = Field(default=5, ge=1)
    """Epochs without a better one on validation before training stops; >= 1."""
    keep: Literal["best", "last"] = "best"
    """Whose weights are kept: those of the best epoch on validation, or of the last, which then comes for certain."""
    refit: bool = False
    """Whether to train once more, on training and validation part, with the calibration found before; keep = 'last'."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the products in training: 'auto' is bfloat16 where the device has it natively; weights stay float32."""
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """Share of activations zeroed in the moving stages (Srivastava et al. 2014); None: as pretrained; in [0, 1)."""
    stochastic_depth: float | None = Field(default=None, ge=0, lt=1)
    """Share of examples that skip the last residual branch, less before (Huang et al. 2016); None: as pretrained."""
    averaging: float = Field(default=0.0, ge=0, lt=1)
    """Decay per step of an exponential average of the weights, which is then what is kept; 0 is off; in [0, 1)."""
    soup: bool = False
    """Whether to average the best epochs' weights where that is better on validation (Wortsman et al. 2022)."""
    interpolate: bool = False
    """Whether to go back towards the pretrained backbone as far as is better on validation (WiSE-FT)."""

    @model_validator(mode="after")
    def _keep_suits_the_rest(self) -> Self:
        if self.soup and self.keep == "last":
            raise ValueError('soup averages the best epochs, and keep = "last" keeps none of them: leave one out')
        if self.refit and (self.keep != "last" or self.interpolate):
            raise ValueError('refit leaves nothing to choose weights on: it needs keep = "last" and no interpolate')
        return self

    @classmethod
    def tries(cls, facts: DataFacts) -> tuple[Suggestion, ...]:  # noqa: ARG003
        """What a search tries of this tuning on such an occasion; nothing, unless the user names it."""
        return ()

    def rates_from(self, first: int, stages: int) -> tuple[Rate, ...]:
        """The head, and the stages from `first` on at rates that fall by `stage_decay` from the last one down."""
        return Rate(-1, 1.0), *(Rate(k, self.stage_decay ** (stages - 1 - k)) for k in range(first, stages))

    def settled(self, rates: tuple[Rate, ...], training_start: TrainingStart) -> tuple[Rate, ...]:  # noqa: ARG002
        """`rates` as a training uses them, where they depend on what only its outset shows; of the same stages."""
        return rates

    def moves(self, parameter: str) -> bool:  # noqa: ARG002
        """Whether a parameter of a moving stage moves, by its name in `Backbone.module`."""
        return True

    def goes_back(self, parameter: str) -> bool:  # noqa: ARG002
        """Whether a moving parameter is set back for the backbone to be; of the factors of a product one alone is."""
        return True

    def check(self, backbone: Backbone) -> None:
        """Refuse a backbone on which nothing would move as it should, before anything runs. Raises SettingsError."""

    def adapted(self, backbone: Backbone, seed: int) -> Backbone:  # noqa: ARG002
        """The backbone with what is trained beside its own weights, in the same live modules; `seed` decides it all.

        The twin's stages name every parameter as it is then called; until `merge` the backbone itself must not be used.
        """
        return backbone

    def merge(self, backbone: Backbone) -> Mapping[str, int]:  # noqa: ARG002
        """Undo `adapted`, what was trained being added to the backbone's own weights; counts of it for the report."""
        return {}
