"""Values of the recognised columns in the form that the rest of the house reads."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from headstart.contracts.left_out import LeftOut
from headstart.contracts.modality import HasNumbers, HasSound, HasTexts, modality_named
from headstart.formats._cell_values import as_texts, typed
from headstart.formats._column_guess import Roles, is_label_name
from headstart.formats._column_kinds import as_on_disk
from headstart.formats._numerals import DecimalSign
from headstart.formats._parts import PART_COLUMN, part_of
from headstart.formats._rows import ORIGIN, is_text
from headstart.formats._sound_columns import sound_paths
from headstart.formats._table_part import TablePart
from headstart.kernel.errors import DataError
from headstart.kernel.spelling import nfc


def with_inputs(table: pa.Table, roles: Roles, root: str, decimal: DecimalSign) -> pa.Table:
    """Inputs as strings, 64-bit numbers or dates, as their roles say; encoded images stay as they are.

    Paths of images are spelt as below `root`, numbers in texts are read with that decimal sign.

    Raises:
        DataError: a value has no such form; its place is given.
    """
    columns = dict(zip(table.column_names, table.columns))
    modality = modality_named(roles.inputs.modality)
    cells, table_alone = isinstance(modality, HasNumbers), not isinstance(modality, HasTexts)
    for name in roles.inputs.columns:
        column, kind = columns[name], roles.inputs.types.get(name)
        if name in roles.inputs.columns[: roles.inputs.texts] and kind == pa.string() and not table_alone:
            columns[name] = as_texts(name, column)
        elif cells:
            columns[name] = typed(name, column, kind, table.column(ORIGIN), decimal)
        elif kind is None and is_text(column.type):
            columns[name] = sound_paths(column, root) if isinstance(modality, HasSound) else _paths(column, root)
        elif kind == pa.string() or pa.types.is_null(column.type):
            columns[name] = as_texts(name, column)
    # all at once: a table of many columns takes long to be made anew for each
    fields = [
        field if columns[field.name].type == field.type else pa.field(field.name, columns[field.name].type)
        for field in table.schema
    ]
    return pa.table(list(columns.values()), schema=pa.schema(fields, table.schema.metadata))


def with_parts(table: pa.Table, part: str, *, strict: bool) -> pa.Table:
    """The part column in our words. Raises DataError on a value that names no part, when `strict`."""
    values = table.column(part).to_pylist()
    strange = sorted({str(value) for value in values if value not in (None, "") and part_of(value) is None})
    if strange and strict:
        listed = ", ".join(repr(value) for value in strange[:5])
        raise DataError(f"the part column '{part}' holds {listed}: expected only train, val, test or their usual names")
    words = pa.array([part_of(value) or "" for value in values], pa.string())
    if PART_COLUMN in table.column_names:
        return table.set_column(table.column_names.index(PART_COLUMN), PART_COLUMN, words)
    return table.append_column(PART_COLUMN, words)


def without_unlabelled_parts(table: pa.Table, label: str, tables: list[TablePart], notes: list[str]) -> pa.Table:
    """Leave out the tables of a given split that have no label column, and say so in `notes`.

    Raises:
        DataError: such a table has another column that may hold its labels.
    """
    names = {part: {*map(nfc, source.names())} for part, _, source in tables}
    labelled = [part for part in names if label in names[part]]
    for part in sorted({*names} - {*labelled}):
        out = pc.equal(table.column(PART_COLUMN), part)
        own = sorted(names[part].difference(*(names[other] for other in labelled)))
        words = next(table.source.words for table in tables if table.part == part)
        _require_no_other_label(table.filter(out).select(own), table.column(label), label, words)
        number = int(pc.sum(out).as_py())
        beside = f", and of its own {', '.join(own)}" if own else ""
        notes.append(LeftOut(number, f"{number} rows of {part} left out, as they have no column '{label}'{beside}"))
        table = table.filter(pc.invert(out))
    return table


def _require_no_other_label(table: pa.Table, labels: pa.ChunkedArray, label: str, words: str) -> None:
    """Refuse a column that is called like labels, or has the values of the other tables' labels. Raises DataError."""
    known = _values(labels)
    for name in table.column_names:
        values = _values(table.column(name))
        same = values <= known and len(values) > 1
        if same or is_label_name(name):
            said = "the same values" if same else f"values such as {', '.join(sorted(values)[:3])}"
            raise DataError(
                f"{words} has no column '{label}', but '{name}' with {said}. If these are its labels, call the "
                f"column '{label}' there too. If not, take the column out, or give the other tables' file alone."
            )


def _values(column: pa.ChunkedArray) -> set[str]:
    """The different values of a column that may hold classes; none of any other."""
    kind = column.type
    plain = is_text(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)
    return {str(value) for value in pc.unique(column).to_pylist() if value not in (None, "")} if plain else set()


def require_inputs(table: pa.Table, inputs: Sequence[str], tables: Sequence[TablePart]) -> None:
    """Refuse a table of a given split without an input column, as all its rows would lack it. Raises DataError."""
    for part, _, source in tables:
        there = {*map(nfc, source.names())}
        for name in (name for name in inputs if part and name in table.column_names and name not in there):
            column = table.filter(pc.equal(table.column(PART_COLUMN), part)).column(name)
            if len(column) and column.null_count == len(column):
                raise DataError(
                    f"{source.words} has no column '{name}', which the other tables have as an input. Its columns: "
                    f"{', '.join(source.names())}. Give the columns the same names, or the other tables' file alone."
                )


def _paths(column: pa.ChunkedArray, root: str) -> pa.ChunkedArray:
    """Paths as they lie on disk, where accents may have the other of their two forms."""
    return pa.chunked_array([pa.array([path and as_on_disk(root, path) for path in column.to_pylist()], pa.string())])
