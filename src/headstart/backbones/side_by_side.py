"""Several backbones side by side, such as 'runs/a+runs/b' or 'resnet50+vit_small_patch16_224': the features of each
beside those of the others.

A probe solves a head on each and mixes their answers, by weights from cross-fitted log loss; a search with few labels
does so with the probe's backbone and a fine-tuned one. A head that is trained by steps reads all features as one
vector. Running them takes as long as all of them together.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from headstart.contracts.backbone import Backbone, Reader
from headstart.contracts.carriers import State, Tap
from headstart.contracts.examples import Raw
from headstart.contracts.features import Features
from headstart.contracts.inputs import InputKind
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
    columns: int = 0
    """Numbers of a row, where they read rows."""
    names: tuple[str, ...] = ()
    """Of the columns."""
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
            given |= {"columns": self.columns, "names": self.names}
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
        return SideBySide([_rebuilt(number, member, assets) for number, member in enumerate(self.members)])


class SideBySide(Backbone):
    """Some backbones as one: they read the same inputs, and run as one stage.

    Where they prepare inputs in one way, they share the state that comes of it. Else its context has the tensors of
    each under names of their own, and nothing is known of its pixels, tokens or lengths.
    """

    def __init__(self, members: Sequence[Backbone]) -> None:
        """Put them side by side; they share their live weights with this one.

        Raises:
            BackboneError: they read other inputs.
        """
        first = members[0]
        for other in members[1:]:
            if other.modality != first.modality:
                raise BackboneError(
                    f"{first.name} takes {first.modality} inputs and {other.name} {other.modality}: they cannot stand "
                    "side by side"
                )
        self.members = tuple(members)
        names = list(dict.fromkeys(member.name for member in members))
        self.name = "+".join(names)
        self.origin = " + ".join(dict.fromkeys(member.origin for member in members))
        self.licence = " and ".join(dict.fromkeys(member.licence for member in members))
        self.modality, self.reads = first.modality, first.reads
        self.padding_exact = all(member.padding_exact for member in members)
        self.widths = tuple(member.width for member in members)
        self.width = sum(self.widths)
        self.module = nn.ModuleList(member.module for member in members)
        parameters, buffers = (
            tuple(name for name, _ in named) for named in (self.module.named_parameters(), self.module.named_buffers())
        )
        self.stages = (Stage(STAGE, parameters, buffers, tuple(str(k) for k in range(len(members)))),)
        self._agree()

    def _agree(self) -> None:
        """Note whether they prepare inputs in one way."""
        first = self.members[0]
        self.alike = all(other.preparation() == first.preparation() for other in self.members)
        self.entry = first.entry if self.alike else nn.Identity()

    def learn_decoding(self, raws: Sequence[Raw]) -> tuple[str, ...]:
        """As each of them that has not learnt it."""
        found = [note for member in self.members for note in member.learn_decoding(raws)]
        self._agree()
        return tuple(dict.fromkeys(found))

    def prepare(self, raws: Sequence[Raw]) -> State:
        """As each of them does."""
        if self.alike:
            return self.members[0].prepare(raws)
        each = [member.prepare(raws).tensors() for member in self.members]
        own = {f"{k}.{name}": value for k, named in enumerate(each) for name, value in named.items()}
        return State(own.pop("0.hidden"), own)

    def preparation(self) -> Mapping[str, Any]:
        """As of each of them."""
        each = [dict(member.preparation()) for member in self.members]
        return each[0] if self.alike else {"members": each}

    def reader(self) -> Reader | None:
        """As of each of them; None where they differ."""
        return self.members[0].reader() if self.alike else None

    def doubts(self, raws: Sequence[Raw]) -> tuple[str, ...]:
        """Those of any of them."""
        return tuple(dict.fromkeys(doubt for member in self.members for doubt in member.doubts(raws)))

    def length(self, raw: Raw) -> int:
        """As of the first."""
        return self.members[0].length(raw)

    def windows(self, raw: Raw) -> tuple[tuple[int, int], ...]:
        """As of each of them; none where they differ."""
        return self.members[0].windows(raw) if self.alike else ()

    def unread(self, raws: Sequence[Raw]) -> np.ndarray:
        """(inputs,) the greatest share that is cut off for any of them."""
        return np.max([member.unread(raws) for member in self.members], axis=0)

    def input_kind(self) -> InputKind | None:
        """As of each of them; None where they differ."""
        return self.members[0].input_kind() if self.alike else None

    def segment(self, start: int, stop: int, taps: Sequence[Tap] = ()) -> nn.Module:
        """All of them, one after the other. Raises BackboneError where that is not asked for, or on another tap."""
        if (start, stop) != (0, 1):
            raise BackboneError(f"{self.name} has no segment {start}..{stop}: its boundaries are 0..1")
        strange = [tap.boundary for tap in taps if tap.boundary != STAGE]
        if strange:
            raise BackboneError(unknown("boundary", strange[0], [STAGE]))
        return _Each(self.members, taps, alike=self.alike)

    def features(self, state: State) -> Features:
        """Pooled features (batch, width), those of each beside those of the one before."""
        return Features(state.hidden)

    def describe(self) -> dict[str, Any]:
        """Each of them."""
        members = [member.describe() for member in self.members]
        return {"plugin": NAME, "settings": {"reference": self.name, "members": members}}

    def assets(self) -> Mapping[str, bytes]:
        """Those of each, under names of their own where they prepare inputs in different ways."""
        if self.alike:
            return self.members[0].assets()
        return {f"{k}-{name}": file for k, member in enumerate(self.members) for name, file in member.assets().items()}

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

    def __init__(self, members: Sequence[Backbone], taps: Sequence[Tap], *, alike: bool) -> None:
        super().__init__()
        self.segments = nn.ModuleList(member.segment(0, len(member.stages)) for member in members)
        self.weights = nn.ModuleList(member.module for member in members)
        self._features = [member.features for member in members]
        self._taps, self._alike = tuple(taps), alike

    def forward(self, state: State) -> State:
        pooled: list[Tensor] = [
            features(segment(self._own(state, k))).pooled
            for k, (segment, features) in enumerate(zip(self.segments, self._features))
        ]
        hidden = torch.cat(pooled, dim=-1)
        return State(hidden, state.context, {**state.taps, **{tap.key: hidden for tap in self._taps}})

    def _own(self, state: State, k: int) -> State:
        if self._alike:
            return State(state.hidden, state.context)
        named = {"0.hidden": state.hidden, **state.context}
        start = f"{k}."
        return State.of({name.removeprefix(start): value for name, value in named.items() if name.startswith(start)})


def _rebuilt(number: int, member: PluginEntry, assets: Path) -> Backbone:
    """One of them, from the files of its own or those of all."""
    family = build(registry.plugin("backbones", member.plugin), member.settings, where="backbone")
    own = list(assets.glob(f"{number}-*")) if assets.is_dir() else []
    with TemporaryDirectory() as folder:
        for path in own:
            shutil.copyfile(path, Path(folder) / path.name.partition("-")[2])
        found: Backbone = family.rebuild(Path(folder) if own else assets)
    return found


def _families(name: str, inputs: str) -> list[Any]:
    """The families that take a name, for such inputs; this one left out."""
    kinds = (registry.plugin("backbones", other) for other in registry.names("backbones") if other != NAME)
    suited = [kind for kind in kinds if kind.suits(name)]
    return [kind for kind in suited if not inputs or kind.modality in ("", inputs)]
