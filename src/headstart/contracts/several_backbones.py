"""Backbones side by side, as a model of models has them: what the pipeline knows of these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

from headstart.contracts.backbone import Backbone
from headstart.kernel import registry
from headstart.kernel.errors import BackboneError


@runtime_checkable
class HasMembers(Protocol):
    """A backbone that is made of several, whose pooled features lie one beside the other."""

    members: tuple[Backbone, ...]
    """With live weights."""
    widths: tuple[int, ...]
    """Of the pooled features of each."""


@runtime_checkable
class JoinsBackbones(Protocol):
    """A family that makes one backbone of several."""

    @classmethod
    def side_by_side(cls, members: Sequence[Backbone]) -> Backbone:
        """Return them as one, which `HasMembers`. Raises BackboneError where they read other inputs."""
        ...


def side_by_side(members: Sequence[Backbone]) -> Backbone:
    """Return several backbones as one, which `HasMembers`; they share their live weights with it.

    Raises:
        BackboneError: they read other inputs.
    """
    families = (registry.plugin("backbones", name) for name in registry.names("backbones"))
    family = next((family for family in families if isinstance(family, JoinsBackbones)), None)
    if family is None:
        raise BackboneError("no family of backbones takes several")
    return family.side_by_side(members)


def copied(backbone: Backbone, weights: Mapping[str, Tensor]) -> Backbone:
    """Return the same backbone with a copy of these weights of its own."""
    twin = backbone.fresh(0)
    twin.module.load_state_dict(dict(weights))
    twin.name, twin.origin, twin.licence = backbone.name, backbone.origin, backbone.licence
    twin.module.eval()
    return twin
