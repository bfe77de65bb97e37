"""Values of the recognised columns in the form that the rest of the house reads."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from headstart.formats._column_guess import Roles
from headstart.formats._parts import PART_COLUMN, part_of
from headstart.formats._rows import MIXED, ORIGIN, is_text
from headstart.formats._table_sources import TablePart
from headstart.kernel.errors import DataError


def with_inputs(table: pa.Table, roles: Roles) -> pa.Table:
    """Inputs as strings or 64-bit numbers, as their roles say; encoded images stay as they are.

    Raises:
        DataError: a value has no such form; its place is given.
    """
    columns = dict(zip(table.column_names, table.columns))
    for name in roles.inputs.columns:
        column = columns[name]
        if roles.inputs.type == pa.float64():
            columns[name] = _numbers(name, column, table)
        elif roles.inputs.type == pa.string() or pa.types.is_null(column.type):
            columns[name] = _texts(name, column)
    # all at once: a table of many columns takes long to be made anew for each
    fields = [
        field if columns[field.name].type == field.type else pa.field(field.name, columns[field.name].type)
        for field in table.schema
    ]
    return pa.table(list(columns.values()), schema=pa.schema(fields, table.schema.metadata))


def with_label(table: pa.Table, label: str) -> pa.Table:
    """An empty label as a missing one. Raises DataError when the values are of several kinds."""
    mixed = (table.schema.field(label).metadata or {}).get(MIXED)
    if mixed:
        raise DataError(
            f"the label column '{label}' mixes values of several kinds: {mixed.decode()}. "
            "Make them all numbers or all text."
        )
    column = table.column(label)
    if not is_text(column.type):
        return table
    empty = pc.equal(pc.utf8_trim_whitespace(column), "")
    return _replaced(table, label, pc.if_else(empty, pa.scalar(None, column.type), column))


def with_parts(table: pa.Table, part: str, *, strict: bool) -> pa.Table:
    """The part column in our words. Raises DataError on a value that names no part, when `strict`."""
    values = table.column(part).to_pylist()
    strange = sorted({str(value) for value in values if value not in (None, "") and part_of(value) is None})
    if strange and strict:
        listed = ", ".join(repr(value) for value in strange[:5])
        raise DataError(f"the part column '{part}' holds {listed}: expected only train, val, test or their usual names")
    words = pa.array([part_of(value) or "" for value in values], pa.string())
    if PART_COLUMN in table.column_names:
        return _replaced(table, PART_COLUMN, words)
    return table.append_column(PART_COLUMN, words)


def without_unlabelled_parts(table: pa.Table, label: str, tables: list[TablePart], notes: list[str]) -> pa.Table:
    """Leave out the tables of a given split that have no label column, and say so in `notes`."""
    labelled = {part for part, _, source in tables if label in source.names()}
    for part in sorted({part for part, _, _ in tables} - labelled):
        out = pc.equal(table.column(PART_COLUMN), part)
        notes.append(f"{pc.sum(out).as_py()} rows of {part} left out, as they have no column '{label}'")
        table = table.filter(pc.invert(out))
    return table


def _texts(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    if is_text(column.type):
        return column
    try:
        return column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"column '{name}' holds {column.type}, which is no text") from error


def _numbers(name: str, column: pa.ChunkedArray, table: pa.Table) -> pa.ChunkedArray:
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    try:
        return column.cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"column '{name}' is not numeric: {_no_number(column, table)}") from error


def _no_number(column: pa.ChunkedArray, table: pa.Table) -> str:
    """The first value that is no number, and where it is."""
    for row, value in enumerate(column.to_pylist()):
        try:
            float(value if value is not None else 0)
        except (TypeError, ValueError):
            return f"{value!r} in {table.column(ORIGIN)[row].as_py()}"
    return str(column.type)


def _replaced(table: pa.Table, name: str, values: pa.ChunkedArray | pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)
