"""Tables and views of SQLite databases."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import BufferedReader

from headstart.formats._record_tables import Record, RecordTable
from headstart.formats._stored_file import StoredFile, chosen
from headstart.kernel.errors import DataError

_TABLES = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"


class DatabaseTable(RecordTable):
    """A table; a row is named by its number, from 1."""

    def __init__(self, file: StoredFile, wanted: str | None = None) -> None:
        """Find the table. Raises DataError where it is not a database, or it is not clear which table is meant."""
        super().__init__(file)
        with self._connected() as connection:
            tables = sorted(name for (name,) in connection.execute(_TABLES))
            if not tables:
                raise DataError(f"{file} is a database without a table")
            self._name = chosen(file, "tables", tables, wanted)
            self._columns = [name for name, *_ in connection.execute(f"{self._query} LIMIT 0").description]
        self.words = file.name if len(tables) == 1 else f"{file.name}/{self._name}"

    @property
    def _query(self) -> str:
        quoted = self._name.replace('"', '""')
        return f'SELECT * FROM "{quoted}"'

    def names(self) -> list[str]:
        """The columns."""
        return self._columns

    def records(self) -> Iterator[Record]:
        """The rows in the order in which the database has them. Raises DataError where its pages are damaged."""
        with self._connected() as connection:
            (state,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if state != "ok":
                raise DataError(f"{self.file} cannot be read as an SQLite database, as it is damaged: {state}")
            for number, row in enumerate(connection.execute(self._query), start=1):
                yield number, dict(zip(self._columns, row))

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """Connect for reading alone; a packed database is read into memory. Raises DataError."""
        try:
            with self.file.open() as content:
                packed = None if isinstance(content, BufferedReader) else content.read()
            where = f"{self.file.path.absolute().as_uri()}?mode=ro" if packed is None else ":memory:"
            with closing(sqlite3.connect(where, uri=True)) as connection:
                if packed is not None:
                    connection.deserialize(packed)
                yield connection
        except sqlite3.Error as error:
            raise DataError(f"{self.file} cannot be read as an SQLite database: {error}") from error
