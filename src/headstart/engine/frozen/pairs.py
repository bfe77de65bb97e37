"""The frozen pass over pairs that are read apart: every distinct input goes once, whatever pairs it is in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch

from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import State
from headstart.contracts.examples import Examples, Schema
from headstart.contracts.modality import raws_of
from headstart.contracts.pairs import compared, together
from headstart.engine.frozen.content_keys import content_keys
from headstart.engine.frozen.extract import Extracted
from headstart.engine.store.key_index import Located


class Passing(NamedTuple):
    """Inputs that go through a backbone, one by one."""

    backbone: Backbone
    examples: Examples
    keys: Sequence[str | None]
    """Content key of each."""
    places: np.ndarray | None = None
    """(pairs, 2) the places of the two inputs of each pair among them; None where they are the examples themselves."""


def passing(backbone: Backbone, examples: Examples, keys: Sequence[str | None]) -> Passing:
    """Return what goes through: the examples, or the distinct inputs of pairs that are read apart."""
    alone = backbone.alone()
    if alone is None:
        return Passing(backbone, examples, keys)
    inputs = [one for pair in raws_of(examples) for one in pair]
    order = {one: place for place, one in enumerate(dict.fromkeys(inputs))}
    schema = Schema(modality=examples.schema.modality, inputs=("input",), origin="input")
    distinct = Examples(pa.table({"input": [*order]}), schema)
    places = np.array([order[one] for one in inputs], np.int64).reshape(-1, 2)
    return Passing(alone, distinct, content_keys(distinct).keys, places)


def of_pairs(found: Extracted, places: np.ndarray, width: int) -> Extracted:
    """The features of pairs, `width` wide, from those of their inputs; `places` (pairs, 2) as of `Passing`."""
    failing = np.isin(places, list(found.failures))
    failed = np.flatnonzero(failing.any(axis=1))
    failures = {int(row): found.failures[int(places[row][failing[row]][0])] for row in failed}
    changes = {"failures": failures, "rows": np.flatnonzero(~failing.any(axis=1)), "width": width}
    return _OfPairs(**{**vars(found), **changes, "_located": Located(found._located.position[places])})


class _OfPairs(Extracted):
    """As `Extracted`, an entry being two located inputs."""

    def batch_state(self, rows: Sequence[int] | np.ndarray) -> State:
        """As of `Extracted`."""
        if self.spec.keep != "state":
            return State(torch.from_numpy(self.pooled(rows)))
        return together(super().batch_state(rows))

    def _column(self, name: str, rows: Sequence[int] | np.ndarray | None) -> np.ndarray:
        found = super()._column(name, rows)
        return compared(torch.from_numpy(found)).numpy() if len(found) else np.empty((0, self.width), np.float32)

    def _of(self, rows: Sequence[int] | np.ndarray) -> Located:
        return Located(super()._of(rows).position.ravel())
