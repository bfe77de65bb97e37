"""Test time: a model adapts to the unlabelled inputs that it predicts; the saved one stays as it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from headstart.contracts.carriers import Batch
from headstart.contracts.features import Features
from headstart.contracts.network import Stage
from headstart.kernel.complete import Complete
from headstart.kernel.contract import contract
from headstart.kernel.settings import Settings


@dataclass(frozen=True)
class AdaptedModel:
    """A model that belongs to one prediction and may be changed; every module is in evaluation mode."""

    name: str
    """The backbone's, for messages."""
    backbone: nn.Module
    stages: tuple[Stage, ...]
    """Names of `backbone`'s parameters and modules, by stage."""
    head: nn.Module
    run: Callable[[Batch], tuple[Features, Tensor | None]]
    """Batch -> its features and, where `scored`, logits (places, classes) over the temperature; a place is an example
    or a pixel. Differentiable."""
    source: Callable[[], Iterable[Batch]]
    """Some training examples. Raises HeadstartError where they are not to be had any more."""
    scored: bool
    """True for a task with one class for each example or pixel."""
    task: str
    """Plug-in name of the task, for messages."""


class Adaptation(ABC):
    """An adaptation in the course of one prediction."""

    looks: bool
    """True for one that sees the inputs of a piece of the data before it predicts them."""
    batch_size: int
    """Inputs in a batch, at most. Batches are drawn at random from a piece of the data."""

    def look(self, batches: Iterable[Batch], examples: int) -> None:  # noqa: B027
        """See the inputs, of which there are so many in all, before they are predicted. Gradients are off."""

    @abstractmethod
    def features(self, batch: Batch) -> Features:
        """Return a batch's features, from which its predictions are made."""

    @abstractmethod
    def notes(self) -> tuple[str, ...]:
        """Return what a reader of the predictions must know, in sentences without a full stop."""


@contract("test_time")
class TestTime(Settings, Complete):
    """The contract of a file in `test_time/`."""

    __test__: ClassVar[bool] = False  # pytest takes a class of this name for tests

    title: ClassVar[str]
    """Its name in tables: 'Tent'."""

    @abstractmethod
    def begin(self, model: AdaptedModel) -> Adaptation:
        """Make the adaptation of a model. Raises SettingsError for one that it cannot adapt, which is named."""
