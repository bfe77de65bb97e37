"""Parquet and JSON files as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from headstart.formats._rows import ORIGIN, table_of_records
from headstart.kernel.documents import parse_json
from headstart.kernel.errors import DataError
from headstart.kernel.regular import open_regular, require_regular

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
            require_regular(path)
            self._file = parquet.ParquetFile(path)
            self._names = list(self._file.schema_arrow.names)
        except (OSError, ValueError) as error:
            raise self._fault(error) from error

    def names(self) -> list[str]:
        """The columns."""
        return self._names

    def read(self, as_text: frozenset[str] = frozenset()) -> pa.Table:  # noqa: ARG002
        """The whole table with its origins. Raises DataError."""
        try:
            table = self._file.read()
        except (OSError, ValueError) as error:
            raise self._fault(error) from error
        return self._numbered(table, 1)

    def head(self, rows: int) -> pa.Table:
        """The first rows, at most that many."""
        batches = list(islice(self._batches(rows, self._names), 1))
        return pa.concat_tables(batches) if batches else plain(self._file.schema_arrow.empty_table())

    def chunks(self, types: Mapping[str, pa.DataType], rows: int) -> Iterator[pa.Table]:
        """The named columns with their origins, `rows` at a time."""
        first = 1
        for table in self._batches(rows, list(types)):
            yield self._numbered(table, first)
            first += table.num_rows

    def _batches(self, rows: int, columns: list[str]) -> Iterator[pa.Table]:
        batches = self._file.iter_batches(rows, columns=columns)
        while True:
            try:
                batch = next(batches, None)
            except (OSError, ValueError) as error:
                raise self._fault(error) from error
            if batch is None:
                return
            yield self._sound(plain(pa.Table.from_batches([batch])))

    def _sound(self, table: pa.Table) -> pa.Table:
        """The table, if its texts are UTF-8 and its dates have names, which nothing checked. Raises DataError."""
        for name, column in zip(table.column_names, table.columns):
            try:
                column.validate(full=True)
                if pa.types.is_temporal(column.type) and not pa.types.is_duration(column.type):
                    pc.min_max(column).as_py()
            except (ValueError, OverflowError) as error:
                raise DataError(f"{self.path}: column '{name}' is damaged: {error}") from error
        return table

    def _fault(self, error: OSError | ValueError) -> DataError:
        return DataError(f"{self.path} cannot be read as Parquet: {getattr(error, 'strerror', None) or error}")

    def _numbered(self, table: pa.Table, first: int) -> pa.Table:
        numbers = range(first, first + table.num_rows)
        table = self._sound(plain(table)).drop_columns([ORIGIN] if ORIGIN in table.column_names else [])
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
            with open_regular(self.path) as content, TextIOWrapper(content, "utf-8-sig") as file:
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
            record = parse_json(line)
        except ValueError as error:
            raise DataError(f"{self.path}:{number} cannot be read as JSON: {error}") from error
        if not isinstance(record, dict):
            raise DataError(f"{self.path}:{number} is no record but {line.strip()[:60]!r}. Expected {{...}} per line.")
        return record

    def _array(self, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
        try:
            records = parse_json(text)
        except ValueError as error:
            raise DataError(
                f"{self.path} cannot be read as JSON: {error}. A file with one record per line should be called .jsonl."
            ) from error
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            raise DataError(f"{self.path} holds no array of records. Expected [{{...}}, {{...}}].")
        yield from enumerate(records, start=1)


def plain(table: pa.Table) -> pa.Table:
    """The table with dictionary columns as their values."""
    coded = [pa.types.is_dictionary(field.type) for field in table.schema]
    if not any(coded):
        return table
    columns = [
        column.cast(column.type.value_type) if is_coded else column for column, is_coded in zip(table.columns, coded)
    ]
    return pa.table(columns, names=table.column_names)
