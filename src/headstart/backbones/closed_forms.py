"""Recommenders as one backbone, whose features are the scores of a catalogue of items.

Nothing is pretrained and no features are kept: a fit solves or trains each of the plug-ins in `recommenders/` and keeps
the best one for users with a history in the domain, and the best one for users who only have one in the source domain.
Every run with it is a source for other domains: it keeps the histories that it learnt from.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import torch
from safetensors.numpy import load, save
from torch import nn

from headstart.contracts.backbone import NO_LICENCE, Backbone
from headstart.contracts.carriers import State, Tap
from headstart.contracts.examples import Examples
from headstart.contracts.features import Features
from headstart.contracts.interactions import (
    ITEMS,
    SOURCE,
    USER,
    History,
    column_of_lists,
    flat,
    matrix_from,
    numbers_of,
)
from headstart.contracts.network import Stage
from headstart.contracts.recommender import Part, Recommender
from headstart.contracts.targets import collated
from headstart.contracts.task_capabilities import KnownHistories
from headstart.kernel import registry
from headstart.kernel.errors import BackboneError, DataError
from headstart.kernel.settings import Settings

NAME, FAMILY = "closed_forms", "recommenders"
ARRAYS, USERS, CATALOGUES = "scorers.safetensors", "users.parquet", "items.parquet"


class ClosedForms(Settings):
    """All recommenders, or those that the reference names."""

    modality: ClassVar[str] = "interactions"

    reference: str = NAME
    """'closed_forms' for all, or recommenders joined by '+', such as 'ease+ials'; see `headstart help recommender`."""
    warm: dict[str, Any] = {}
    """What was chosen for users with a history: {"plugin", "settings"}."""
    cold: dict[str, Any] = {}
    """What was chosen for other users."""

    @classmethod
    def suits(cls, reference: str) -> bool:
        """Return whether it names recommenders."""
        return reference == NAME or {*reference.split("+")} <= {*registry.names(FAMILY)}

    @classmethod
    def known(cls) -> list[str]:
        """The recommenders by name."""
        return [NAME, *registry.names(FAMILY)]

    @classmethod
    def automatic(cls) -> tuple[str, str] | None:
        """Always."""
        return NAME, "all recommenders are solved or trained, and validation chooses"

    def load(self) -> Backbone:
        """None is solved yet."""
        return RecommenderBackbone(self)

    def rebuild(self, assets: Path) -> Backbone:
        """The solved ones, as they were saved. Raises BackboneError where files are damaged."""
        try:
            arrays = load((assets / ARRAYS).read_bytes())
            users, catalogues = (pa.parquet.read_table(assets / name) for name in (USERS, CATALOGUES))
            sides = catalogues.column("domain").to_pylist()
            items = {
                side: catalogues.column("item").filter(pa.array([one == side for one in sides])) for side in {*sides}
            }
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise BackboneError(f"the recommender in {assets} cannot be read: {error}") from error
        parts = [
            _part(given, {key.removeprefix(f"{place}."): v for key, v in arrays.items() if key.startswith(f"{place}.")})
            for place, given in (("warm", self.warm), ("cold", self.cold))
        ]
        catalogue, source = (
            pa.array(items[side].combine_chunks() if side in items else [], pa.string())
            for side in ("target", "source")
        )
        return RecommenderBackbone(self, _Solved(parts[0], parts[1], catalogue, source, users))


class _Solved:
    """Two solved recommenders, the catalogues of both domains, and the histories of known users."""

    def __init__(self, warm: Part, cold: Part, items: pa.Array, source_items: pa.Array, users: pa.Table) -> None:
        self.warm, self.cold, self.items, self.source_items, self.users = warm, cold, items, source_items, users
        self._names = users.column(USER).combine_chunks()
        self._had = {name: flat(users.column(name)) for name in (ITEMS, SOURCE)}

    def whole(self, raws: Sequence[History]) -> tuple[list[pa.Array], list[pa.Array]]:
        """Both histories of each user: as given, else as known. Raises DataError where neither is there."""
        rows = numbers_of(pa.array([raw.user for raw in raws], pa.string()), self._names)
        found: tuple[list[pa.Array], list[pa.Array]] = ([], [])
        for raw, row in zip(raws, rows):
            sides = [self._side(given, name, row) for given, name in ((raw.items, ITEMS), (raw.source, SOURCE))]
            if not any(map(len, sides)):
                raise DataError("is not a known user and has no history")
            for side, items in zip(found, sides):
                side.append(items)
        return found

    def _side(self, given: pa.Array, name: str, row: int) -> pa.Array:
        if len(given) or row < 0:
            return given
        offsets, values = self._had[name]
        return values.slice(offsets[row], offsets[row + 1] - offsets[row])


class RecommenderBackbone(Backbone):
    """Solved recommenders, or none yet; see `contracts/recommender.py`."""

    stages = (Stage(NAME, ()),)
    modality = "interactions"
    licence = NO_LICENCE

    def __init__(self, settings: ClosedForms, solved: _Solved | None = None) -> None:
        """Take what was solved."""
        self.name = self.origin = settings.reference
        self.settings, self._solved, self.module = settings, solved, nn.Identity()
        self.width = 1 if solved is None else len(solved.items)

    @property
    def methods(self) -> tuple[str, ...]:
        """The recommenders that the reference names; all where a run is the source of other fits."""
        given = self.settings.reference
        every = given == NAME or self._solved is not None
        return tuple(registry.names(FAMILY) if every else given.split("+"))

    def solved(self, warm: Part, cold: Part, examples: Examples, learnt: Mapping[str, Any]) -> Backbone:
        """As of `HasCandidates`."""
        columns = {USER: examples.table.column(USER)}
        columns |= {name: column_of_lists(examples, name) for name in (ITEMS, SOURCE)}
        done = _Solved(warm, cold, learnt["items"], learnt["source_items"], pa.table(columns))
        return RecommenderBackbone(
            self.settings.model_copy(
                update={"warm": _described(warm.recommender), "cold": _described(cold.recommender)}
            ),
            done,
        )

    def histories(self) -> KnownHistories:
        """As of `HasCandidates`. Raises BackboneError where nothing is solved yet."""
        users = self._done.users
        return KnownHistories(users.column(USER).combine_chunks(), users.column(ITEMS))

    @property
    def _done(self) -> _Solved:
        if self._solved is None:
            raise BackboneError(f"{self.name} is not solved yet: fit it to interactions")
        return self._solved

    def prepare(self, raws: Sequence[History]) -> State:
        """(batch, places) int64 item numbers in the order of histories, those of the source after all of the target's,
        negative ones at padding. Raises DataError for an unknown user without a history."""
        done = self._done
        target, source = done.whole(raws)
        sides = zip(_numbered(target, done.items, 0), _numbered(source, done.source_items, len(done.items)))
        return State(collated(np.fromiter(map(np.concatenate, sides), object, len(raws))))

    def preparation(self) -> Mapping[str, Any]:
        """Nothing is set."""
        return {}

    def doubts(self, raws: Sequence[History]) -> tuple[str, ...]:
        """Name items that neither catalogue has."""
        told = []
        for name, catalogue in ((ITEMS, self._done.items), (SOURCE, self._done.source_items)):
            sides = [raw.items if name == ITEMS else raw.source for raw in raws]
            values = (
                pa.concat_arrays([side.cast(pa.string()) for side in sides]) if sides else pa.array([], pa.string())
            )
            unknown = values.filter(pa.array(numbers_of(values, catalogue) < 0))
            if len(unknown):
                count = f"{len(unknown):,} {name} of the histories"
                told.append(f"{count} are unknown and count for nothing, such as '{unknown[0]}'")
        return tuple(told)

    def segment(self, start: int, stop: int, taps: Sequence[Tap] = ()) -> nn.Module:
        """The scores; no taps."""
        if taps:
            raise BackboneError(f"{self.name} has no layers to look into")
        return nn.Identity() if start == stop or start > 0 else _Scores(self._done)

    def features(self, state: State) -> Features:
        """The scores."""
        return Features(state.hidden)

    def length(self, raw: History) -> int:
        """Items of the history."""
        return len(raw.items) + len(raw.source)

    def describe(self) -> dict[str, Any]:
        """Which recommenders, with their settings."""
        return {"plugin": NAME, "settings": self.settings.model_dump(mode="json")}

    def fresh(self, seed: int) -> Backbone:  # noqa: ARG002
        """Nothing solved."""
        return RecommenderBackbone(self.settings.model_copy(update={"warm": {}, "cold": {}}))

    def assets(self) -> Mapping[str, bytes]:
        """Scorers, catalogues and known users."""
        if self._solved is None:
            return {}
        done = self._solved
        arrays = {
            f"{place}.{name}": np.ascontiguousarray(values.astype(np.uint8) if values.dtype == bool else values)
            for place, part in (("warm", done.warm), ("cold", done.cold))
            for name, values in part.scorer.arrays().items()
        }
        sides = ["target"] * len(done.items) + ["source"] * len(done.source_items)
        both = pa.concat_arrays([done.items, done.source_items])
        tables = {USERS: done.users, CATALOGUES: pa.table({"item": both, "domain": pa.array(sides, pa.string())})}
        return {ARRAYS: save(arrays), **{name: _parquet(table) for name, table in tables.items()}}


class _Scores(nn.Module):
    """From ones to scores, by one recommender for users with a history and another for those without."""

    def __init__(self, solved: _Solved) -> None:
        super().__init__()
        self.solved = solved

    def forward(self, state: State) -> State:
        both, items = state.hidden.numpy(), len(self.solved.items)
        offsets = np.arange(len(both) + 1) * both.shape[1]
        target = matrix_from(offsets, np.where(both < items, both, -1).ravel(), items)
        source = matrix_from(offsets, both.ravel() - items, len(self.solved.source_items))
        warm = np.diff(target.indptr) > 0
        found = np.empty(target.shape, np.float32)
        for rows, part in ((np.flatnonzero(warm), self.solved.warm), (np.flatnonzero(~warm), self.solved.cold)):
            if len(rows):
                found[rows] = part.scorer.scores(target[rows], source[rows])
        found[np.repeat(np.arange(len(both)), np.diff(target.indptr)), target.indices] = -np.inf
        return State(torch.from_numpy(found))


def _numbered(histories: Sequence[pa.Array], catalogue: pa.Array, first: int) -> list[np.ndarray]:
    """The numbers (items,) of each history in a catalogue that begins with `first`; negative ones of unknown items."""
    values = [one.cast(pa.string()) for one in histories]
    numbers = numbers_of(pa.concat_arrays(values), catalogue)
    numbers = np.where(numbers >= 0, numbers + first, numbers)
    return np.split(numbers, np.cumsum([len(one) for one in values])[:-1])


def _described(recommender: Recommender) -> dict[str, Any]:
    return {"plugin": registry.name_of(recommender), "settings": recommender.model_dump(mode="json")}


def _part(given: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Part:
    recommender = registry.plugin(FAMILY, given["plugin"])(**given["settings"])
    return Part(recommender, recommender.restored(arrays))


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pa.parquet.write_table(table, buffer)
    return buffer.getvalue()
