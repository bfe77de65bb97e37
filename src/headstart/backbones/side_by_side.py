"""Several backbones that read the same inputs side by side, such as 'runs/a+runs/b': the features of each beside those
of the others.

A search with few labels makes one of the probe's backbone and a fine-tuned one, with a head for each whose answers are
mixed. Under a new head their features are simply joined. Running them takes as long as all of them together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from headstart.contracts.backbone import Backbone, Reader
from headstart.contracts.carriers import State, Tap
from headstart.contracts.examples import Raw
from headstart.contracts.features import Features
from headstart.contracts.inputs import Pixels, Tokens
from headstart.contracts.model_files import PluginEntry
from headstart.contracts.network import Stage
from headstart.kernel import registry
from headstart.kernel.errors import BackboneError, unknown
from headstart.kernel.settings import Settings
from headstart.kernel.user_settings import build

BETWEEN = "+"
NAME, STAGE = "side_by_side", "side_by_side"


class SideBySideBackbones(Settings):
    """Several backbones side by side."""

    modality: ClassVar[str] = ""

    reference: str
    """Their names, with '+' between them."""
    weights: Literal["pretrained", "random"] = "pretrained"
    """'random' starts without pretraining."""
    seed: int = 0
    """Decides random weights."""
    inputs: str = ""
    """What they read: a modality; '' for any."""
    members: tuple[PluginEntry, ...] = ()
    """What makes each of them again; of a saved model."""

    @classmethod
    def suits(cls, reference: str) -> bool:
        """Return whether it has several names, each of which another family takes."""
        names = reference.split(BETWEEN)
        return len(names) > 1 and not Path(reference).exists() and all(_families(name, "") for name in names)

    @classmethod
    def known(cls) -> list[str]:
        """None: the names are those of others."""
        return []

    @classmethod
    def automatic(cls) -> tuple[str, str] | None:
        """Never."""
        return None

    def load(self) -> Backbone:
        """Load each of them.

        Raises:
            BackboneError: one of them is not known, or they read inputs in different ways.
        """
        found: list[Backbone] = []
        for number, name in enumerate(self.reference.split(BETWEEN)):
            family = next(iter(_families(name, self.inputs)), None)
            if family is None:
                raise BackboneError(f"no family of backbones knows {name!r} of {self.reference!r}")
            given = {"reference": name, "weights": self.weights, "seed": self.seed + number}
            settings = {key: value for key, value in given.items() if key in family.model_fields}
            found.append(build(family, settings, where="backbone").load())
        return SideBySide(found)

    @classmethod
    def side_by_side(cls, members: Sequence[Backbone]) -> Backbone:
        """Return them as one."""
        return SideBySide(members)

    def rebuild(self, assets: Path) -> Backbone:
        """The architectures, with weights to be filled in. Raises BackboneError where there are none."""
        if len(self.members) < 2:
            raise BackboneError(f"{self.reference} names {len(self.members)} backbones: expected at least 2")
        each = [
            build(registry.plugin("backbones", member.plugin), member.settings, where="backbone").rebuild(assets)
            for member in self.members
        ]
        return SideBySide(each)


class SideBySide(Backbone):
    """Some backbones as one: they read the same inputs in the same way, and run as one stage."""

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
        """(inputs,) as of each of them."""
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
        """Each of them."""
        members = [member.describe() for member in self.members]
        return {"plugin": NAME, "settings": {"reference": self.name, "members": members}}

    def assets(self) -> Mapping[str, bytes]:
        """Those of the first: what decides their preprocessing is the same."""
        return self.members[0].assets()

    def fresh(self, seed: int) -> SideBySide:
        """The same with random weights, other ones for each."""
        found = SideBySide([member.fresh(seed + number) for number, member in enumerate(self.members)])
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


def _families(name: str, inputs: str) -> list[Any]:
    """The families that take a name, for such inputs; this one left out."""
    kinds = (registry.plugin("backbones", other) for other in registry.names("backbones") if other != NAME)
    suited = [kind for kind in kinds if kind.suits(name)]
    return [kind for kind in suited if not inputs or kind.modality in ("", inputs)]
