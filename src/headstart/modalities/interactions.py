"""Interactions: each input is a user with a history, the items so far and those of a source domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from headstart.contracts.examples import Examples, Raw, Schema
from headstart.contracts.interactions import ITEMS, MOMENT, SOURCE, USER, History, column_of_lists, flat
from headstart.contracts.modality import PREVIEW, PlainModality, Sizes
from headstart.kernel.files import hash_bytes

_SHOWN = 12
"""Items of a history in a preview."""


class Interactions(PlainModality):
    """Users with their histories."""

    unit: ClassVar[str] = "users"
    no_backbone: ClassVar[str] = "interactions are scored by recommenders: leave --backbone out"

    def raws(self, table: pa.Table, schema: Schema) -> list[Raw]:
        """A `History` per row."""
        examples = Examples(table, schema)
        (starts, items), (others, source) = (flat(column_of_lists(examples, name)) for name in (ITEMS, SOURCE))
        moments = table.column(MOMENT).to_pylist() if MOMENT in table.column_names else [""] * table.num_rows
        places = zip(table.column(USER).to_pylist(), moments, np.diff(starts), starts, np.diff(others), others)
        return [
            History(user, items.slice(start, length), source.slice(other, beside), moment)
            for user, moment, length, start, beside, other in places
        ]

    def key(self, raw: Raw, digest: str) -> str:  # noqa: ARG002
        """A hash of the user and both histories up to the moment."""
        names = ["\n".join(map(str, side.to_pylist())) for side in (raw.items, raw.source)]
        return hash_bytes(b"interactions", "\0".join([raw.user, raw.moment, *names]).encode("utf-8", "surrogatepass"))

    def sizes(self, raws: Sequence[Raw], names: Sequence[str]) -> Sizes:  # noqa: ARG002
        """Items of each history."""
        return Sizes({"items": [len(raw.items) for raw in raws]})

    def preview(self, raw: Raw) -> str:
        """The user and the last items of the history."""
        both = {"had": raw.items, "had in the source domain": raw.source}
        told = [f"{words} {_listed(items)}" for words, items in both.items() if len(items)]
        return f"user {raw.user} {'; '.join(told) or 'had nothing'}"[:PREVIEW]

    def columns(self, inputs: Any) -> Mapping[str, Any]:
        """Histories in memory are given as a frame of interactions. Raises DataError."""
        return super().columns(inputs)


def _listed(items: pa.Array) -> str:
    last = [str(item) for item in items[-_SHOWN:].to_pylist()]
    return ", ".join([f"… ({len(items) - _SHOWN} more)"] * (len(items) > _SHOWN) + last)
