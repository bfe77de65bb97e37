"""Backbones side by side, each with weights of its own, whose pooled features are joined: of a model of models.

They read the same inputs in the same way and run as one stage, so that all that works on one backbone works on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.contracts.backbone import Backbone, Reader
from headstart.contracts.carriers import State, Tap
from headstart.contracts.examples import Raw
from headstart.contracts.features import Features
from headstart.contracts.inputs import Pixels, Tokens
from headstart.contracts.network import Stage
from headstart.kernel.errors import BackboneError, unknown

FAMILY = "blend"
"""The plug-in that rebuilds them."""

STAGE = "blend"


class SeveralBackbones(Backbone):
    """Some backbones as one."""

    def __init__(self, members: Sequence[Backbone]) -> None:
        """Put them side by side; they share their live weights with this one.

        Raises:
            BackboneError: they read inputs in different ways.
        """
        first = members[0]
        for other in members[1:]:
            if (other.modality, other.preparation()) != (first.modality, first.preparation()):
                raise BackboneError(
                    f"{first.name} and {other.name} prepare inputs in different ways and cannot stand side by side. "
                    "Blend runs of one and the same backbone."
                )
        self.members = tuple(members)
        names = list(dict.fromkeys(member.name for member in members))
        self.name = "+".join(names)
        self.origin = " + ".join(dict.fromkeys(member.origin for member in members))
        self.licence = " and ".join(dict.fromkeys(member.licence for member in members))
        self.modality, self.entry, self.reads = first.modality, first.entry, first.reads
        self.padding_exact = all(member.padding_exact for member in members)
        self.widths = tuple(member.width for member in members)
        self.width = sum(self.widths)
        self.module = nn.ModuleList(member.module for member in members)
        parameters, buffers = (
            tuple(name for name, _ in named) for named in (self.module.named_parameters(), self.module.named_buffers())
        )
        self.stages = (Stage(STAGE, parameters, buffers, tuple(str(k) for k in range(len(members)))),)

    def prepare(self, raws: Sequence[Raw]) -> State:
        """As each of them does."""
        return self.members[0].prepare(raws)

    def preparation(self) -> Mapping[str, Any]:
        """As of each of them."""
        return self.members[0].preparation()

    def reader(self) -> Reader | None:
        """As of each of them."""
        return self.members[0].reader()

    def doubts(self, raws: Sequence[Raw]) -> tuple[str, ...]:
        """As of each of them."""
        return self.members[0].doubts(raws)

    def length(self, raw: Raw) -> int:
        """As of each of them."""
        return self.members[0].length(raw)

    def windows(self, raw: Raw) -> tuple[tuple[int, int], ...]:
        """As of each of them."""
        return self.members[0].windows(raw)

    def unread(self, raws: Sequence[Raw]) -> np.ndarray:
        """As of each of them."""
        return self.members[0].unread(raws)

    def input_kind(self) -> Pixels | Tokens | None:
        """As of each of them."""
        return self.members[0].input_kind()

    def segment(self, start: int, stop: int, taps: Sequence[Tap] = ()) -> nn.Module:
        """All of them, one after the other. Raises BackboneError where that is not asked for, or on another tap."""
        if (start, stop) != (0, 1):
            raise BackboneError(f"{self.name} has no segment {start}..{stop}: its boundaries are 0..1")
        strange = [tap.boundary for tap in taps if tap.boundary != STAGE]
        if strange:
            raise BackboneError(unknown("boundary", strange[0], [STAGE]))
        return _Each(self.members, taps)

    def features(self, state: State) -> Features:
        """Pooled features (batch, width), those of each beside those of the one before."""
        return Features(state.hidden)

    def describe(self) -> dict[str, Any]:
        """What rebuilds each of them."""
        members = [member.describe() for member in self.members]
        return {"plugin": FAMILY, "settings": {"reference": self.name, "members": members}}

    def assets(self) -> Mapping[str, bytes]:
        """Those of the first: what decides their preprocessing is the same."""
        return self.members[0].assets()

    def fresh(self, seed: int) -> SeveralBackbones:
        """The same with random weights, other ones for each."""
        found = SeveralBackbones([member.fresh(seed + number) for number, member in enumerate(self.members)])
        found.name = self.name
        return found

    def small(self, seed: int) -> Backbone | None:
        """As of the first."""
        return self.members[0].small(seed)


class _Each(nn.Module):
    """`State -> State`: the inputs -> the pooled features of all of them."""

    def __init__(self, members: Sequence[Backbone], taps: Sequence[Tap]) -> None:
        super().__init__()
        self.segments = nn.ModuleList(member.segment(0, len(member.stages)) for member in members)
        self.weights = nn.ModuleList(member.module for member in members)
        self._features = [member.features for member in members]
        self._taps = tuple(taps)

    def forward(self, state: State) -> State:
        pooled: list[Tensor] = [
            features(segment(state)).pooled for segment, features in zip(self.segments, self._features)
        ]
        hidden = torch.cat(pooled, dim=-1)
        return State(hidden, state.context, {**state.taps, **{tap.key: hidden for tap in self._taps}})


def copied(backbone: Backbone, weights: Mapping[str, Tensor]) -> Backbone:
    """Return the same backbone with a copy of these weights of its own."""
    twin = backbone.fresh(0)
    twin.module.load_state_dict(dict(weights))
    twin.name, twin.origin, twin.licence = backbone.name, backbone.origin, backbone.licence
    twin.module.eval()
    return twin
