"""Advice: what a search or `auto` should know of a tuning or an objective. Nothing that trains reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class DataFacts:
    """Facts on the data and the backbone, known before a search for the best tuning begins."""

    examples: int
    """In the training part."""
    stages: int
    """Of the backbone."""
    linear: bool
    """True for a task whose head is linear, so that the task's solver can find it."""
    attention: bool
    """True for a transformer."""
    tokens: bool = False
    """True for a backbone that reads texts as tokens."""
    one_class: bool = False
    """True where each example has one class."""
    decoder: bool = False
    """True where a decoder of the backbone takes the place of a head."""


@dataclass(frozen=True)
class Suggestion:
    """Something worth trying."""

    order: int
    """The lower, the earlier; equal ones stand side by side."""
    reason: str
    """Why it may be best for such data."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the recipe, beside its defaults."""


def nothing(facts: DataFacts) -> tuple[Suggestion, ...]:  # noqa: ARG001
    """Suggest nothing: the plug-in is tried only where the user names it."""
    return ()


@dataclass(frozen=True)
class Advice:
    """The `advice` of a tuning or an objective."""

    tries: Callable[[DataFacts], tuple[Suggestion, ...]] = nothing
    """What a search for the best fine-tuning tries of it; an objective is tried beside the task's loss alone."""
    pretrains: Mapping[str, Suggestion] = field(default_factory=dict)
    """Modality -> why `pretrain` should take the objective for such data by itself, where its `check` allows it."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the training that suit the objective in pretraining; those of the user come first."""
    augmentation: str = "none"
    """Views for the objective in pretraining, as in `--augmentation`, unless the user names others."""
    initial_backbone: str = ""
    """Backbone to begin with, from random weights, where no pretrained one is known; '' for none."""
