"""Cells of a table as numbers, categories or dates, whether they are typed or text."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from headstart.formats._numerals import DecimalSign, is_no_value, number_in
from headstart.formats._rows import is_text
from headstart.kernel.errors import DataError

_WHOLE = re.compile(r"(-?\d+)\.0")
_YES_NO = {"true": 1.0, "false": 0.0}
_TICKS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}


def typed(
    name: str, column: pa.ChunkedArray, kind: pa.DataType, origins: pa.ChunkedArray, decimal: DecimalSign
) -> pa.ChunkedArray:
    """A column as 64-bit numbers, as strings of categories or as dates without a zone, whichever `kind` is.

    Raises:
        DataError: a value has no such form; its place is given.
    """
    if kind == pa.string():
        return _each(as_texts(name, column), _category, kind)
    if is_text(column.type):
        read = date_in if pa.types.is_timestamp(kind) else lambda cell: _number(cell, decimal)
        found = _each(column, read, kind)
        strange = pc.indices_nonzero(pc.and_(pc.is_null(found), pc.invert(_gaps(column)))).to_pylist()
        if strange:
            cell, where = column[strange[0]].as_py(), origins[strange[0]].as_py()
            what = "no date such as 2024-05-31 17:45" if pa.types.is_timestamp(kind) else "not numeric"
            raise DataError(f"column '{name}' is {what}: {cell!r} in {where}")
        return found
    try:
        if pa.types.is_boolean(column.type):
            return column.cast(pa.uint8()).cast(kind)
        if pa.types.is_time(column.type) or pa.types.is_duration(column.type):
            ticks = column.cast(pa.int32() if pa.types.is_time32(column.type) else pa.int64())
            return pc.divide(ticks.cast(pa.float64()), _TICKS[column.type.unit]).cast(kind)
        return column.cast(kind, safe=not pa.types.is_timestamp(kind))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        what = "date" if pa.types.is_timestamp(kind) else "number"
        raise DataError(f"column '{name}' holds {column.type}, which is not a {what}") from error


def as_texts(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column as strings. Raises DataError where it has no such form."""
    if is_text(column.type):
        return column
    try:
        return column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"column '{name}' holds {column.type}, which is not text") from error


def is_gap(cell: str | None) -> bool:
    """Return whether the text of a cell says that there is no value."""
    return cell is None or not cell.strip() or is_no_value(cell)


def date_in(text: str) -> datetime | None:
    """Return the date that a text is by ISO 8601, in UTC where it has an offset; None where it is none."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return found if found.tzinfo is None else found.astimezone(UTC).replace(tzinfo=None)


def _each(column: pa.ChunkedArray, read: Callable[[str], Any], kind: pa.DataType) -> pa.ChunkedArray:
    """Read each cell; None for a gap."""
    cells = (None if is_gap(cell) else read(cell) for cell in column.to_pylist())
    return pa.chunked_array([pa.array(list(cells), kind)])


def _gaps(column: pa.ChunkedArray) -> pa.Array:
    return pa.array([is_gap(cell) for cell in column.to_pylist()], pa.bool_())


def _category(cell: str) -> str:
    """A value as it is written, but '3' for '3.0': whole numbers with gaps are often stored as fractions."""
    cell = cell.strip()
    whole = _WHOLE.fullmatch(cell)
    return cell if whole is None else whole[1]


def _number(cell: str, decimal: DecimalSign) -> float | None:
    yes_no = _YES_NO.get(cell.strip().lower())
    return number_in(cell, decimal) if yes_no is None else yes_no
