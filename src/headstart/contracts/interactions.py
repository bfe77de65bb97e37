"""Interactions: the items that each user had, as columns of lists and as sparse matrices.

The modality `interactions` has one row per user, or per user and part of the split: the items so far, those of the
source domain, and as the target the items that came after.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array

from headstart.contracts.examples import Examples

USER, ITEMS, SOURCE, MOMENT = "user", "items", "source items", "as of"
"""Columns of the inputs: the user, the items so far in order of time, those of the source domain, and the part of the
split up to which the history goes; '' for all of it."""

RELEVANT = "relevant"
"""Name and column of the target: the items that came after the history."""

OVERLAP = "users"
"""Column of the group of a user: `COLD`, `SHARED` or `UNSHARED`."""

COLD, SHARED, UNSHARED = "cold (source history alone)", "warm, in both domains", "in the target domain alone"


ORDERED = "in order of time"
"""Column that is there, and true, where histories are in order of time."""


class History(NamedTuple):
    """The raw input of the modality `interactions`."""

    user: str
    items: pa.Array
    """(items,) strings, in order of time where there are times."""
    source: pa.Array
    """(items,) strings: those of the source domain."""
    moment: str

    def __repr__(self) -> str:
        """By its values."""
        return repr((self.user, self.items.to_pylist(), self.source.to_pylist(), self.moment))


class Memo(Protocol):
    """Bytes by key, which may be forgotten at any time."""

    def get(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Return the values of those keys that are known."""
        ...

    def put(self, values: Mapping[bytes, bytes]) -> None:
        """Keep these."""
        ...


@dataclass(frozen=True)
class Domains:
    """Interactions of the same users in a target and in a source domain, each at most once.

    The indices of a row are in the order of the history, and not sorted.
    """

    target: csr_array
    """(users, items) float32 ones."""
    source: csr_array | None = None
    """(users, source items) float32 ones; None without a source."""
    contents: np.ndarray | None = None
    """(items, width) float32: frozen vectors of the contents of the target's items, NaN where an item has none; None
    without any."""
    source_contents: np.ndarray | None = None
    """(source items, width): the same of the source's."""
    ordered: bool = False
    """Whether the target's histories are in order of time."""
    memo: Memo | None = None
    """Where factors of domains are kept for later fits; None: nowhere."""

    @property
    def shared(self) -> np.ndarray:
        """Rows (shared users,) of the users with interactions in both domains."""
        if self.source is None:
            return np.empty(0, np.int64)
        return np.flatnonzero((np.diff(self.target.indptr) > 0) & (np.diff(self.source.indptr) > 0))


def lists_of(offsets: np.ndarray, codes: np.ndarray, names: pa.Array) -> pa.Array:
    """Return a column of lists of `names`: row r has those of codes[offsets[r]:offsets[r + 1]], offsets (rows + 1,)."""
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), names.take(pa.array(codes)))


def flat(column: pa.ChunkedArray) -> tuple[np.ndarray, pa.Array]:
    """Return the offsets (rows + 1,) of a column of lists from 0 on, and all their values one after the other."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(whole, pa.ChunkedArray):  # no chunk at all
        whole = pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], column.type)
    lengths = pc.fill_null(pc.list_value_length(whole), 0).to_numpy(zero_copy_only=False)
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]), whole.flatten()


def numbers_of(values: pa.Array, catalogue: pa.Array) -> np.ndarray:
    """Return the places (values,) int64 in the catalogue, -1 for an unknown one."""
    return pc.fill_null(pc.index_in(values, value_set=catalogue), -1).to_numpy(zero_copy_only=False).astype(np.int64)


def matrix_of(column: pa.ChunkedArray, catalogue: pa.Array) -> csr_array:
    """Return a column of lists as (rows, catalogue) ones in the lists' order; what the catalogue lacks is left out."""
    offsets, values = flat(column)
    return matrix_from(offsets, numbers_of(values, catalogue), len(catalogue))


def matrix_from(offsets: np.ndarray, numbers: np.ndarray, items: int) -> csr_array:
    """Return (rows, items) ones at numbers[offsets[r]:offsets[r + 1]] of each row r, in that order.

    Negative numbers are left out, and of equal ones in a row all but the first.
    """
    rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    kept = numbers >= 0
    rows, numbers = rows[kept], numbers[kept]
    first = np.unique(rows * np.int64(items) + numbers, return_index=True)[1]
    if len(first) < len(rows):
        first.sort()
        rows, numbers = rows[first], numbers[first]
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(offsets) - 1))])
    return csr_array((np.ones(len(rows), np.float32), numbers, starts), shape=(len(offsets) - 1, items))


def joined(first: csr_array, second: csr_array) -> csr_array:
    """Return (users, items) ones of two histories of each user, the second after the first, each item once."""
    rows = [np.repeat(np.arange(one.shape[0]), np.diff(one.indptr)) for one in (first, second)]
    order = np.argsort(np.concatenate(rows), kind="stable")
    numbers = np.concatenate([first.indices, second.indices])[order].astype(np.int64)
    return matrix_from((first.indptr + second.indptr).astype(np.int64), numbers, first.shape[1])


def catalogue_of(*columns: pa.ChunkedArray) -> pa.Array:
    """Return the distinct values of columns of lists, in order."""
    values = [pc.unique(flat(column)[1]).cast(pa.string()) for column in columns]
    whole = pc.unique(pa.concat_arrays(values))
    return whole.take(pc.sort_indices(whole)).drop_null()


def column_of_lists(examples: Examples, name: str) -> pa.ChunkedArray:
    """Return a column of lists; empty lists where the examples lack it."""
    if name in examples.table.column_names:
        return examples.table.column(name)
    empty = pa.LargeListArray.from_arrays(pa.array(np.zeros(len(examples) + 1, np.int64)), pa.array([], pa.string()))
    return pa.chunked_array([empty])


class ItemContents(NamedTuple):
    """Frozen vectors of items."""

    names: pa.Array
    """(items,) strings, each once."""
    vectors: np.ndarray
    """(items, width) float32, of mean 0 and deviation 1 in every column."""
    note: str
    """A sentence on what was read."""

    def of(self, catalogue: pa.Array) -> np.ndarray:
        """Return the vectors of a catalogue (items, width), NaN for an item without contents."""
        rows = numbers_of(catalogue, self.names)
        return np.where(rows[:, None] >= 0, self.vectors[np.maximum(rows, 0)], np.nan).astype(np.float32)
