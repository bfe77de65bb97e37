"""The column by which data name their rows, such as 'tweet_id' or 'PassengerId', to be repeated beside predictions."""

from __future__ import annotations

import re
from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from headstart.formats._rows import is_text

_NAMES = re.compile(r"(?i:(.*[_\- .])?(id|idx|uuid|guid)|key|row_?id)|.*[a-z]I[dD]")


def id_column(head: pa.Table, inputs: Collection[str]) -> str | None:
    """The first column, no input, that is called an identifier, and has another value in each row of the beginning."""
    for name in head.column_names:
        column = head.column(name)
        plain = pa.types.is_integer(column.type) or is_text(column.type)
        if name in inputs or not plain or not _NAMES.fullmatch(name.strip()):
            continue
        if column.null_count == 0 and pc.count_distinct(column).as_py() == len(column):
            return name
    return None


def with_names(table: pa.Table, column: str | None) -> pa.Table:
    """The table with the names of rows as text."""
    if column is None:
        return table
    return table.set_column(table.column_names.index(column), column, table.column(column).cast(pa.string()))
