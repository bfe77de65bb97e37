"""Columns: one field of many examples, in one array where all have one shape, ragged over the first axis where not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import cast

import numpy as np

from headstart.kernel.errors import StoreError


@dataclass(frozen=True)
class Ragged:
    """A column whose entries differ in their first axis."""

    flat: np.ndarray
    """(sum of lengths, ...): the entries, one after the other."""
    offsets: np.ndarray
    """(examples + 1,) int64: where each entry begins, and the end."""

    @staticmethod
    def of(flat: np.ndarray, lengths: np.ndarray) -> Ragged:
        """From the lengths of the entries, (examples,)."""
        return Ragged(flat, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))

    @property
    def lengths(self) -> np.ndarray:
        """(examples,)"""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, entry: int) -> np.ndarray:
        return self.flat[self.offsets[entry] : self.offsets[entry + 1]]


Column = np.ndarray | Ragged
"""(examples, ...), or ragged."""

Part = tuple[np.ndarray, Column]
"""Places in a column, (entries,), and their entries."""


def values_of(column: Column) -> np.ndarray:
    """The one array with every value, (examples, ...), or (sum of lengths, ...) where it is ragged."""
    return column.flat if isinstance(column, Ragged) else column


def kind_of(column: Column) -> tuple[object, ...]:
    """Return the facts in which two columns must agree to be joined: raggedness, type, shape past the first axis."""
    values = values_of(column)
    return isinstance(column, Ragged), values.dtype, values.shape[1:]


def take(column: Column, rows: np.ndarray) -> Column:
    """The given entries; without a copy where they follow one another."""
    chosen = as_slice(rows)
    if not isinstance(column, Ragged):
        return column[chosen]
    flat, offsets = column.flat, column.offsets
    if isinstance(chosen, slice):
        begin, end = offsets[chosen.start], offsets[chosen.stop]
        return Ragged(flat[begin:end], offsets[chosen.start : chosen.stop + 1] - begin)
    return Ragged.of(np.concatenate([flat[:0], *(column[row] for row in rows)]), column.lengths[rows])


def concatenated(columns: Sequence[Column]) -> Column:
    """Columns of one kind, one after the other."""
    values = np.concatenate([values_of(column) for column in columns])
    if not isinstance(columns[0], Ragged):
        return values
    return Ragged.of(values, np.concatenate([cast(Ragged, column).lengths for column in columns]))


def scattered(parts: Iterable[Part], size: int) -> Column:
    """One column of `size` > 0 entries from parts that fill it, in memory of its own.

    Raises:
        StoreError: the parts differ in type or in the shape of an entry.
    """
    parts = iter(parts)
    head = next(parts)
    same = (_checked(part, head[1]) for part in chain([head], parts))
    first = values_of(head[1])
    if isinstance(head[1], Ragged):
        return _scattered_ragged([(places, cast(Ragged, column)) for places, column in same], size)
    out = np.empty((size, *first.shape[1:]), first.dtype)
    for places, column in same:
        out[as_slice(places)] = column
    return out


def as_slice(rows: np.ndarray) -> slice | np.ndarray:
    """The same choice as a slice where the rows follow one another, which spares a copy."""
    if len(rows) and rows[-1] - rows[0] == len(rows) - 1 and bool((np.diff(rows) == 1).all()):
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows


def _scattered_ragged(parts: Sequence[tuple[np.ndarray, Ragged]], size: int) -> Ragged:
    lengths = np.empty(size, np.int64)
    for places, column in parts:
        lengths[places] = column.lengths
    first = parts[0][1].flat
    out = Ragged.of(np.empty((int(lengths.sum()), *first.shape[1:]), first.dtype), lengths)
    for places, column in parts:
        for entry, place in enumerate(places):
            out[place][...] = column[entry]
    return out


def require_kind(column: Column, other: Column) -> None:
    """Raises StoreError where the two differ in type or in the shape of an entry."""
    kind, wanted = kind_of(column), kind_of(other)
    if kind != wanted:
        raise StoreError(f"entries of two kinds cannot be read together: {wanted} and {kind}. Read them separately.")


def _checked(part: Part, like: Column) -> Part:
    require_kind(part[1], like)
    return part
