"""Parquet files as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from io import BufferedReader
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from headstart.formats._rows import ORIGIN
from headstart.formats._stored_file import StoredFile
from headstart.kernel.errors import DataError


class ParquetFile:
    """One Parquet file; a row is named by its number, from 1."""

    notes: tuple[str, ...] = ()

    def __init__(self, file: StoredFile) -> None:
        """Open the file. Raises DataError."""
        self.file = file
        self.root = file.root
        self.words = file.name
        try:
            with file.open() as content:
                packed = None if isinstance(content, BufferedReader) else pa.BufferReader(content.read())
            self._file = parquet.ParquetFile(packed or file.path)
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
                raise DataError(f"{self.file}: column '{name}' is damaged: {error}") from error
        return table

    def _fault(self, error: OSError | ValueError) -> DataError:
        return DataError(f"{self.file} cannot be read as Parquet: {getattr(error, 'strerror', None) or error}")

    def _numbered(self, table: pa.Table, first: int) -> pa.Table:
        numbers = range(first, first + table.num_rows)
        table = self._sound(plain(table)).drop_columns([ORIGIN] if ORIGIN in table.column_names else [])
        return table.append_column(ORIGIN, pa.array([f"{self.words}:{n}" for n in numbers], pa.string()))


def plain(table: pa.Table) -> pa.Table:
    """The table with dictionary columns as their values."""
    coded = [pa.types.is_dictionary(field.type) for field in table.schema]
    if not any(coded):
        return table
    columns = [
        column.cast(column.type.value_type) if is_coded else column for column, is_coded in zip(table.columns, coded)
    ]
    return pa.table(columns, names=table.column_names)
