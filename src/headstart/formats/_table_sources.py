"""From what the user gave to tables: a file, a folder with a file per part, a frame, a data set, or a dict of these."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pandas as pd
import pyarrow as pa

from headstart.formats._csv import CsvFile
from headstart.formats._parts import PART_COLUMN, part_of
from headstart.formats._rows import ORIGIN
from headstart.formats._table_files import JsonFile, ParquetFile
from headstart.formats._table_memory import Frame, arrow_rows, dataset_rows, is_dataset
from headstart.kernel.errors import DataError
from headstart.kernel.spelling import nfc


class TableSource(Protocol):
    """One table, wherever it lies."""

    root: str
    """Folder that relative image paths start from."""
    words: str
    """What it is, for people."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user, such as one on a fallback encoding."""
        ...

    def names(self) -> list[str]:
        """The columns."""
        ...

    def read(self, as_text: frozenset[str] = frozenset()) -> pa.Table:
        """The whole table with an origin column; columns `as_text` are not parsed as numbers where that is a choice."""
        ...

    def head(self, rows: int) -> pa.Table:
        """The first rows, at most that many."""
        ...

    def chunks(self, types: Mapping[str, pa.DataType], rows: int) -> Iterator[pa.Table]:
        """The named columns and the origins, about `rows` at a time; where a file has no types they are these."""
        ...


_OPEN: dict[str, Callable[[Path], TableSource]] = {
    ".csv": CsvFile,
    ".tsv": CsvFile,
    ".tab": CsvFile,
    ".parquet": ParquetFile,
    ".pq": ParquetFile,
    ".jsonl": JsonFile,
    ".ndjson": JsonFile,
    ".json": JsonFile,
}
_IN_FOLDERS = frozenset(_OPEN) - {".json"}
"""A .json file in a folder is more often about the data than the data."""
_SHARD = re.compile(r"[-_.]\d+(-of-\d+)?$")
_LISTED = 8


class TablePart(NamedTuple):
    """A table and the part of the split that it is."""

    part: str
    """'train', 'val', 'test', or '' where none is given."""
    name: str
    """As the user knows it; '' for a lone table."""
    source: TableSource


def find_tables(source: Any) -> list[TablePart] | None:
    """The tables in `source`, in the order train, val, test; None when there are none.

    Raises:
        DataError: there are tables, but which one is meant is not clear, or one cannot be opened.
    """
    if isinstance(source, (str, Path)):
        return _on_disk(Path(source))
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
    listed = ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
    sources = ", ".join(f"{name}: {source.words}" if name else source.words for _, name, source in tables)
    return f"{sources} with the column{'s' if len(names) != 1 else ''} {listed}"


def _on_disk(path: Path) -> list[TablePart] | None:
    if path.is_file():
        kind = _OPEN.get(path.suffix.lower())
        return [TablePart("", "", kind(path))] if kind else None
    if not path.is_dir():
        return None
    files = sorted(Path(entry.path) for entry in os.scandir(path) if _is_table(entry))
    parts = [part_of(_SHARD.sub("", file.stem)) for file in files]
    if not files:
        return None
    if len(files) == 1 and parts[0] is None:
        return _on_disk(files[0])
    if None in parts:
        listed = ", ".join(file.name for file in files[:_LISTED])
        raise DataError(
            f"{path} holds {len(files)} tables ({listed}), and not all are named after parts, as train.csv, "
            "val.csv and test.csv are. Give the file that is meant."
        )
    tables = [TablePart(part or "", "", _OPEN[file.suffix.lower()](file)) for part, file in zip(parts, files)]
    return _by_part(tables)


def _is_table(entry: os.DirEntry[str]) -> bool:
    """By its name; what is no regular file is refused when it is opened, as it may be the part that is meant."""
    is_one = os.path.splitext(entry.name)[1].lower() in _IN_FOLDERS
    return is_one and not entry.name.startswith(".") and not entry.is_dir()


def _by_part(tables: list[TablePart]) -> list[TablePart]:
    return sorted(tables, key=lambda table: ("train", "val", "test").index(table.part))


def _named(source: Mapping[Any, Any]) -> list[TablePart] | None:
    """A dict of frames or data sets by part; a `datasets.DatasetDict` is one. A dict of columns is one table."""
    tables = {str(name): _in_memory(value) for name, value in source.items()}
    if not any(tables.values()):
        columns = source and all(isinstance(values, (list, tuple)) for values in source.values())
        return [TablePart("", "", Frame(pd.DataFrame(dict(source))))] if columns else None
    unnamed = [name for name, table in tables.items() if table is None or part_of(name) is None]
    if len(tables) == 1:
        return [TablePart(part_of(name) or "", "", table) for name, table in tables.items() if table is not None]
    if unnamed:
        raise DataError(
            f"the parts are called {', '.join(tables)}; '{unnamed[0]}' is none of train, val and test. Leave it out "
            "or rename it."
        )
    return _by_part(
        [TablePart(part_of(name) or "", name, table) for name, table in tables.items() if table is not None]
    )


def _in_memory(source: Any) -> TableSource | None:
    if isinstance(source, pd.DataFrame):
        return Frame(source)
    if isinstance(source, pa.Table):
        return arrow_rows(source)
    return dataset_rows(source) if is_dataset(source) and not isinstance(source, Mapping) else None


def refuse_twins(names: Sequence[str], words: str) -> None:
    """Refuse columns of one name. Raises DataError."""
    twins = sorted(name for name, number in Counter(names).items() if number > 1)
    if twins:
        raise DataError(f"{words} has more than one column called {twins[0]!r}. Column names must differ.")
