"""Parquet and JSON files as tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from headstart.formats._rows import ORIGIN, table_of_records
from headstart.kernel.errors import DataError

_LOOK_AT = 1000
"""Records whose keys are taken for all the columns there are."""


class ParquetFile:
    """One Parquet file; a row is named by its number, from 1."""

    notes: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        """Open the file. Raises DataError."""
        self.path = path
        self.root = str(path.parent)
        self.words = path.name
        try:
            self._file = parquet.ParquetFile(path)
        except (OSError, pa.ArrowInvalid) as error:
            raise DataError(f"{path} cannot be read as Parquet: {error}") from error

    def names(self) -> list[str]:
        """The columns."""
        return list(self._file.schema_arrow.names)

    def read(self, as_text: frozenset[str] = frozenset()) -> pa.Table:  # noqa: ARG002
        """The whole table with its origins."""
        return self._numbered(self._file.read(), 1)

    def head(self, rows: int) -> pa.Table:
        """The first rows, at most that many."""
        batches = list(islice(self._file.iter_batches(rows), 1))
        return plain(pa.Table.from_batches(batches, self._file.schema_arrow))

    def chunks(self, types: Mapping[str, pa.DataType], rows: int) -> Iterator[pa.Table]:
        """The named columns with their origins, `rows` at a time."""
        first = 1
        for batch in self._file.iter_batches(rows, columns=list(types)):
            yield self._numbered(pa.Table.from_batches([batch]), first)
            first += len(batch)

    def _numbered(self, table: pa.Table, first: int) -> pa.Table:
        numbers = range(first, first + table.num_rows)
        table = plain(table).drop_columns([ORIGIN] if ORIGIN in table.column_names else [])
        return table.append_column(ORIGIN, pa.array([f"{self.path.name}:{n}" for n in numbers], pa.string()))


class JsonFile:
    """One file of JSON Lines, or of one JSON array of records; a row is named by its line or its place in the array."""

    notes: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        """Nothing is read yet."""
        self.path = path
        self.root = str(path.parent)
        self.words = path.name

    def names(self) -> list[str]:
        """The columns, as the first records have them."""
        return self._names

    @cached_property
    def _names(self) -> list[str]:
        return list(dict.fromkeys(name for _, record in islice(self._records(), _LOOK_AT) for name in record))

    def read(self, as_text: frozenset[str] = frozenset()) -> pa.Table:  # noqa: ARG002
        """The whole table with its origins."""
        return self._table(list(self._records()))

    def head(self, rows: int) -> pa.Table:
        """The first rows, at most that many."""
        return self._table(list(islice(self._records(), rows)))

    def chunks(self, types: Mapping[str, pa.DataType], rows: int) -> Iterator[pa.Table]:
        """The named columns with their origins, `rows` at a time."""
        records = self._records()
        while some := list(islice(records, rows)):
            yield self._table([(number, {name: record.get(name) for name in types}) for number, record in some])

    def _table(self, records: list[tuple[int, dict[str, Any]]]) -> pa.Table:
        table = table_of_records([record for _, record in records])
        origins = [f"{self.path.name}:{number}" for number, _ in records]
        return table.append_column(ORIGIN, pa.array(origins, pa.string()))

    def _records(self) -> Iterator[tuple[int, dict[str, Any]]]:
        try:
            with open(self.path, encoding="utf-8-sig") as file:
                yield from self._array(file.read()) if self.path.suffix.lower() == ".json" else self._lines(file)
        except UnicodeDecodeError as error:
            raise DataError(f"{self.path} is not UTF-8, as JSON must be: {error}") from error
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {error.strerror or error}") from error

    def _lines(self, lines: Iterator[str]) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield number, self._record(number, line)

    def _record(self, number: int, line: str) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except ValueError as error:
            raise DataError(f"{self.path}:{number} is no JSON: {error}") from error
        if not isinstance(record, dict):
            raise DataError(f"{self.path}:{number} is no record but {line.strip()[:60]!r}. Expected {{...}} per line.")
        return record

    def _array(self, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
        try:
            records = json.loads(text)
        except ValueError as error:
            raise DataError(
                f"{self.path} is no JSON: {error}. A file with one record per line should be called .jsonl."
            ) from error
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            raise DataError(f"{self.path} holds no array of records. Expected [{{...}}, {{...}}].")
        yield from enumerate(records, start=1)


def plain(table: pa.Table) -> pa.Table:
    """The table with dictionary columns as their values."""
    for index, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(index, field.name, table.column(index).cast(field.type.value_type))
    return table
