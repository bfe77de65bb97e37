"""Label sets in columns of their own: 1 where an example has the label that the column is named after, else 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from headstart.contracts.format import Columns
from headstart.formats._rows import ORIGIN
from headstart.kernel.errors import DataError


def with_label_columns(table: pa.Table, columns: Columns, notes: list[str]) -> tuple[pa.Table, Columns]:
    """The columns `columns.labels` as one of lists of names, and the columns with that one as the label.

    Raises:
        DataError: a value is neither 0 nor 1, true nor false; its place is given.
    """
    held = {name: _held(table, name) for name in columns.labels}
    sets = [[name for name in columns.labels if held[name][row]] for row in range(table.num_rows)]
    never = [name for name in columns.labels if not any(held[name])]
    if never:
        notes.append(f"left out, as no example has them: {', '.join(never)}")
    joined = ", ".join(columns.labels)
    table = table.drop_columns(list(columns.labels)).append_column(joined, pa.array(sets, pa.list_(pa.string())))
    return table, columns.model_copy(update={"label": joined, "labels": ()})


def _held(table: pa.Table, name: str) -> Sequence[bool]:
    values: list[Any] = table.column(name).to_pylist()
    for row, value in enumerate(values):
        if value not in (0, 1):  # true and false are 1 and 0
            raise DataError(
                f"{table.column(ORIGIN)[row].as_py()}, column '{name}': {value!r} is neither 0 nor 1. Several --label "
                "columns say for each label whether an example has it."
            )
    return [bool(value) for value in values]
