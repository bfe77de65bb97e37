"""Spoken characters: what a backbone that was trained by CTC makes of its frames, and tasks that begin there."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from headstart.contracts.task import BoundTask


class SpokenCharacters(NamedTuple):
    """The last layer of a model that was trained by CTC."""

    alphabet: tuple[str, ...]
    """Characters in the order of the rows, behind those of the blank and of what is unknown."""
    weight: Tensor
    """(2 + characters, width)"""
    bias: Tensor
    """(2 + characters,)"""


@runtime_checkable
class KnowsCharacters(Protocol):
    """A backbone of sounds that may have such a layer."""

    def characters(self) -> SpokenCharacters | None:
        """Return the layer; None where there is none."""
        ...


@runtime_checkable
class BeginsLearnt(Protocol):
    """A bound task whose head may know it before it is trained."""

    @property
    def begins_learnt(self) -> bool:
        """Return whether that is so."""
        ...


def begins_learnt(task: BoundTask) -> bool:
    """Return whether a model knows its task before it is trained: it writes, or its head has learnt already."""
    return task.needs.generates or (isinstance(task, BeginsLearnt) and task.begins_learnt)
