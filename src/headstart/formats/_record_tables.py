"""Tables that are read record by record: JSON, workbooks, databases, lines of text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import Any

import pyarrow as pa

from headstart.formats._encodings import encoding_of, is_unusual, opened_text
from headstart.formats._rows import ORIGIN, table_of_records
from headstart.formats._stored_file import StoredFile
from headstart.kernel.documents import parse_json
from headstart.kernel.errors import DataError

_LOOK_AT = 1000
"""Records whose keys are taken for all the columns there are."""

LINE = "text"
"""The column of a file that has a text on each line."""

Record = tuple[int, dict[str, Any]]
"""Its number, by which it is named, and its values by column."""


class RecordTable(ABC):
    """A file of records."""

    def __init__(self, file: StoredFile) -> None:
        """Nothing is read yet."""
        self.file = file
        self.root = file.root
        self.words = file.name

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user."""
        return ()

    @abstractmethod
    def records(self) -> Iterator[Record]:
        """All records in their order. Raises DataError."""

    def names(self) -> list[str]:
        """The columns, as the first records have them."""
        return self._names

    @cached_property
    def _names(self) -> list[str]:
        return list(dict.fromkeys(name for _, record in islice(self.records(), _LOOK_AT) for name in record))

    def read(self, as_text: frozenset[str] = frozenset()) -> pa.Table:  # noqa: ARG002
        """The whole table with its origins."""
        return self._table(list(self.records()))

    def head(self, rows: int) -> pa.Table:
        """The first rows, at most that many."""
        return self._table(list(islice(self.records(), rows)))

    def chunks(self, types: Mapping[str, pa.DataType], rows: int) -> Iterator[pa.Table]:
        """The named columns with their origins, `rows` at a time."""
        records = self.records()
        while some := list(islice(records, rows)):
            yield self._table([(number, {name: record.get(name) for name in types}) for number, record in some])

    def _table(self, records: list[Record]) -> pa.Table:
        table = table_of_records([record for _, record in records])
        origins = [f"{self.words}:{number}" for number, _ in records]
        return table.append_column(ORIGIN, pa.array(origins, pa.string()))


class TextTable(RecordTable):
    """A file of records in a text file."""

    @cached_property
    def encoding(self) -> str:
        """Its encoding. Raises DataError where it is not text."""
        return encoding_of(self.file)

    @property
    def notes(self) -> tuple[str, ...]:
        """A fallback encoding."""
        return (f"{self.words} is not UTF-8; it was read as {self.encoding}",) if is_unusual(self.encoding) else ()

    def lines(self) -> Iterator[tuple[int, str]]:
        """The lines that are not blank, with their numbers from 1."""
        with opened_text(self.file, self.encoding) as file:
            yield from ((number, line) for number, line in enumerate(file, start=1) if line.strip())


class JsonLines(TextTable):
    """A record on each line."""

    def records(self) -> Iterator[Record]:
        """Each line's, which is named by its number."""
        return ((number, self._record(number, line)) for number, line in self.lines())

    def _record(self, number: int, line: str) -> dict[str, Any]:
        try:
            record = parse_json(line)
        except ValueError as error:
            raise DataError(f"{self.file}:{number} cannot be read as JSON: {error}") from error
        if not isinstance(record, dict):
            raise DataError(
                f"{self.file}:{number} is not a record but {line.strip()[:60]!r}. Expected {{...}} per line."
            )
        return record


class Json(JsonLines):
    """One JSON value: records, in a list or by name; columns, as lists or by row; or a record on each line."""

    def records(self) -> Iterator[Record]:
        """They are named by their places from 1, those on lines by the line."""
        with opened_text(self.file, self.encoding) as file:
            text = file.read()
        try:
            value = parse_json(text)
        except ValueError as error:
            if self._is_by_line():
                return super().records()
            raise DataError(f"{self.file} cannot be read as JSON: {error}") from error
        try:
            return enumerate(value if _are_records(value) else _records_in(value), start=1)
        except ValueError as error:
            raise DataError(f"{self.file} holds {error}") from error

    def _is_by_line(self) -> bool:
        """Return whether the first line is a record of its own, and another follows."""
        try:
            first = [self._record(number, line) for number, line in islice(self.lines(), 2)]
        except DataError:
            return False
        return len(first) == 2


class Lines(TextTable):
    """A text on each line."""

    def records(self) -> Iterator[Record]:
        """Each line's, which is named by its number."""
        return ((number, {LINE: line.rstrip("\r\n")}) for number, line in self.lines())


def _are_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _records_in(value: Any) -> list[dict[str, Any]]:
    """The records of a JSON object. Raises ValueError where it holds none, or several lists of them."""
    inner = list(value.values()) if isinstance(value, dict) else []
    records = {name: within for name, within in value.items() if _are_records(within)} if inner else {}
    if "data" in records:
        return list(records["data"])
    if inner and isinstance(value.get("columns"), list) and _are_lists(value.get("data")):
        return [dict(zip(map(str, value["columns"]), row)) for row in value["data"]]  # as pandas writes "split"
    if _are_lists(inner) and len(records) < len(inner):
        if len({len(column) for column in inner}) > 1:
            listed = ", ".join(f"'{name}' {len(column)}" for name, column in list(value.items())[:5])
            raise ValueError(f"columns of different lengths: {listed}")
        return [dict(zip(value, row)) for row in zip(*inner)]
    if len(records) == 1:
        return next(iter(records.values()))
    if records:
        raise ValueError(f"several lists of records: {', '.join(records)}. Put each in a file of its own")
    if inner and all(isinstance(column, dict) and column.keys() == inner[0].keys() for column in inner):
        by_row = next(iter(inner[0]), "0").isdecimal()  # as pandas writes by default; else records by their names
        return [{name: value[name][row] for name in value} for row in inner[0]] if by_row else inner
    raise ValueError(
        'no array of records. Expected [{...}, {...}], alone or as {"data": [...]}, columns such as '
        '{"text": [...], "label": [...]}, or a record on each line'
    )


def _are_lists(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, list) for one in value)
