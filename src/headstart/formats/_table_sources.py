"""From what the user gave to tables: a file, a folder with a file per part, a frame, a data set, or a dict of these."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from headstart.contracts.left_out import LeftOut
from headstart.formats._arrow_files import saved_datasets
from headstart.formats._parts import PART_COLUMN, is_unlabelled, part_of
from headstart.formats._rows import ORIGIN
from headstart.formats._table_memory import ArrowRows, Frame, arrow_rows, dataset_rows, is_dataset
from headstart.formats._table_part import TablePart, TableSource, refuse_twins
from headstart.formats._table_paths import by_part, tables_on_disk
from headstart.kernel.errors import DataError, some
from headstart.kernel.spelling import nfc

_LISTED = 8


def find_tables(source: Any, wanted: str | None = None) -> list[TablePart] | None:
    """The tables in `source`, in the order train, val, test; None when there are none.

    Args:
        source: a path, or something in memory.
        wanted: the sheet, the table of a database or the file of an archive that is meant, where there are several.

    Raises:
        DataError: there are tables, but which one is meant is not clear, or one cannot be opened.
    """
    if isinstance(source, (str, Path)):
        saved = saved_datasets(Path(source))
        return tables_on_disk(Path(source), wanted) if saved is None else _named(saved)
    if isinstance(source, Mapping):
        return _named(source)
    table = _in_memory(source)
    return None if table is None else [TablePart("", "", table)]


def read_tables(tables: list[TablePart], as_text: frozenset[str]) -> pa.Table:
    """All tables as one, with the part column where parts are given. Raises DataError where they do not fit."""
    read = []
    for part, name, source in tables:
        table = in_nfc(source.read(frozenset(name for name in source.names() if nfc(name) in as_text)))
        refuse_twins(table.column_names, source.words)
        if part:
            table = table.append_column(PART_COLUMN, pa.array([part] * table.num_rows, pa.string()))
        if name:
            origins = pa.array([f"{name} {origin}" for origin in table.column(ORIGIN).to_pylist()], pa.string())
            table = table.set_column(table.column_names.index(ORIGIN), ORIGIN, origins)
        read.append(table)
    try:
        whole = pa.concat_tables(read, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        words = ", ".join(table.source.words for table in tables)
        raise DataError(f"{words} do not fit together: {error}") from error
    if whole.num_rows == 0:
        raise DataError(f"{tables[0].source.words} has columns but no rows")
    return whole


def in_nfc(table: pa.Table) -> pa.Table:
    """The table with the accents in the names of its columns composed, so that names compare."""
    return table.rename_columns([nfc(name) for name in table.column_names])


def in_words(tables: list[TablePart]) -> str:
    """'train.csv, test.csv with columns text, label'."""
    names = tables[0].source.names()
    every = [f"{name}: {source.words}" if name else source.words for _, name, source in tables]
    columns = f"column{'s' if len(names) != 1 else ''} {some(names, _LISTED)}"
    return f"{some(every, _LISTED)} with the {columns}"


def _named(source: Mapping[Any, Any]) -> list[TablePart] | None:
    """A dict of frames or data sets by part; a `datasets.DatasetDict` is one. A dict of columns is one table."""
    tables = {str(name): _in_memory(value) for name, value in source.items()}
    if not any(tables.values()):
        columns = source and all(isinstance(values, (list, tuple)) for values in source.values())
        return [TablePart("", "", Frame(pd.DataFrame(dict(source))))] if columns else None
    tables = _without_unlabelled(tables)
    unnamed = [name for name, table in tables.items() if table is None or part_of(name) is None]
    if len(tables) == 1:
        return [TablePart(part_of(name) or "", "", table) for name, table in tables.items() if table is not None]
    if unnamed:
        raise DataError(
            f"the parts are called {', '.join(tables)}; '{unnamed[0]}' is not train, val or test. Leave it out, "
            "rename it, or give one of them alone."
        )
    return by_part([TablePart(part_of(name) or "", name, table) for name, table in tables.items() if table is not None])


def _without_unlabelled(tables: dict[str, TableSource | None]) -> dict[str, TableSource | None]:
    """The data sets but for one that is called 'unsupervised' or the like; another tells of it."""
    out = {name: table for name, table in tables.items() if is_unlabelled(name) and isinstance(table, ArrowRows)}
    kept = {name: table for name, table in tables.items() if name not in out}
    first = next(iter(kept.values()), None)
    if not isinstance(first, ArrowRows):
        return tables
    words = "rows of {} left out, as its name says that they have no label"
    first.notes = tuple(LeftOut(len(table), f"{len(table)} {words.format(name)}") for name, table in out.items())
    return kept


def _in_memory(source: Any) -> TableSource | None:
    if isinstance(source, pd.DataFrame):
        return Frame(source)
    if isinstance(source, ArrowRows):
        return source
    if isinstance(source, pa.Table):
        return arrow_rows(source)
    return dataset_rows(source) if is_dataset(source) and not isinstance(source, Mapping) else None
