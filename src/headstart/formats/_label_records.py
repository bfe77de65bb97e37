"""Several label columns, each a task of its own: records of the labels of each example, every column read as if it were
the only one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from headstart.contracts.examples import SEVERAL, LabelRoles
from headstart.contracts.format import Columns
from headstart.formats._column_guess import Inputs
from headstart.formats._label_columns import WRITTEN, LabelReading, ReadLabels, with_labels
from headstart.kernel.errors import DataError

FLAGS = 0.5
"""Share of the known cells that are 0 or 1 from which on a column may say whether an example has a label."""


def each_a_task(table: pa.Table, columns: Columns) -> bool:
    """Return whether several label columns are a task each, as is asked for, or as one of them is not of 0 and 1."""
    there = [table.column(name) for name in columns.labels if name in table.column_names]
    return columns.target == SEVERAL or not all(map(_of_flags, there))


def known_labels(columns: Columns, present: Sequence[str]) -> Columns:
    """The columns with those label columns of training that there are. Raises DataError where there is none."""
    there = tuple(name for name in columns.labels if name in present)
    if not there:
        raise DataError(
            f"there is none of the label columns {', '.join(columns.labels)}. Columns: {', '.join(present)}"
        )
    return columns.model_copy(update={"labels": there})


def _of_flags(column: pa.ChunkedArray) -> bool:
    known = [value for value in column.to_pylist() if value is not None]
    return sum(value in (0, 1, "0", "1") for value in known) >= FLAGS * len(known)  # true and false are 1 and 0


def with_records(table: pa.Table, columns: Columns) -> tuple[pa.Table, Columns]:
    """The columns `columns.labels` as one of records, and the columns with that one as the label.

    Raises:
        DataError: a label column is named twice, or as an input too.
    """
    names, inputs = columns.labels, columns.named()
    for name in names:
        if names.count(name) > 1 or name in inputs:
            raise DataError(f"--label {name}: the column is named {'twice' if name not in inputs else 'as an input'}")
    joined = ", ".join(names) if len(names) > 1 else f"{names[0]} (of several)"
    records = pa.StructArray.from_arrays([table.column(name).combine_chunks() for name in names], names)
    table = table.drop_columns(list(names)).append_column(joined, records)
    return table, columns.model_copy(update={"label": joined, "labels": ()})


def columns_of(columns: Columns, name: str) -> Columns:
    """The columns with what the cells of one label column were taken for in training."""
    known = columns.each_label.get(name, LabelRoles())
    return columns.model_copy(update={"label_form": known.label_form, "decimal": known.decimal})


def with_each_label(table: pa.Table, label: str, readings: Mapping[str, LabelReading], inputs: Inputs) -> ReadLabels:
    """Read each field of the records as `with_labels` reads a label column. Raises DataError as it does."""
    fields, roles = {}, {}
    for name, reading in readings.items():
        alone = table.append_column(name, pc.struct_field(table.column(label), name))
        found = with_labels(alone, name, reading, inputs)
        values = found.table.column(name)
        kept = {key: value for key, value in found.roles.items() if value}
        if kept.get("separator"):  # an empty cell is a set without labels
            values = pc.fill_null(values, "")
        if written := kept.get("written"):
            kept["written"] = f"{WRITTEN} {name}"
            table = table.append_column(kept["written"], found.table.column(written))
        fields[name], roles[name] = values.combine_chunks(), LabelRoles(target=found.target, **kept)
    records = pa.StructArray.from_arrays(list(fields.values()), list(fields))
    table = table.set_column(table.column_names.index(label), label, records)
    return ReadLabels(table, SEVERAL, {"each_label": roles})
