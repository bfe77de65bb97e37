"""CSV and TSV files: encoding and delimiter found from the content, rows named by the line they start on."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from io import BufferedReader
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from headstart.contracts.left_out import left_out
from headstart.formats._encodings import BLOCK, encoding_of, is_unusual, opened_text
from headstart.formats._rows import ORIGIN, is_list, is_text
from headstart.formats._stored_file import StoredFile
from headstart.kernel.errors import DataError

_SAMPLE = 1 << 16
_NO_VALUE = [
    "",
    "?",
    "-",
    "--",
    ".",
    "NA",
    "N/A",
    "n/a",
    "n.a.",
    "#N/A",
    "#N/A N/A",
    "#NA",
    "NaN",
    "nan",
    "-NaN",
    "-nan",
    "1.#IND",
    "-1.#IND",
    "1.#QNAN",
    "-1.#QNAN",
    "NULL",
    "null",
    "None",
    "<NA>",
]
"""Cells among numbers that say that there is none."""
_DELIMITERS = (",", ";", "\t")


class CsvFile:
    """One CSV or TSV file with a header line."""

    def __init__(self, file: StoredFile) -> None:
        """Look at the file. Raises DataError when it is empty or cannot be read."""
        self.file = file
        self.root = file.root
        self.words = file.name
        self._encoding = encoding_of(file)
        self._delimiter = "\t" if file.suffix in (".tsv", ".tab") else self._found_delimiter()

    @property
    def notes(self) -> tuple[str, ...]:
        """A fallback encoding, blank lines, and columns without a name."""
        unusual = (f"{self.words} is not UTF-8; it was read as {self._encoding}",) if is_unusual(self._encoding) else ()
        return (
            *unusual,
            *left_out([f"{self.words}:{line}" for line in self._blanks], "blank lines"),
            *([f"{self.words}: {self._unnamed} columns without a name left out"] if self._unnamed else []),
        )

    def names(self) -> list[str]:
        """The columns."""
        return self._names

    @cached_property
    def _names(self) -> list[str]:
        return self._own_columns(next(self._batches({}))).column_names

    @cached_property
    def _unnamed(self) -> int:
        """Number of columns without a name, where there are several; a lone one is the index that pandas writes."""
        empty = next(self._batches({})).column_names.count("")
        return empty if empty > 1 else 0

    def _own_columns(self, table: pa.Table) -> pa.Table:
        """The table without the columns that have no name."""
        kept = [place for place, name in enumerate(table.column_names) if name or not self._unnamed]
        return table if len(kept) == table.num_columns else table.select(kept)

    def read(self, as_text: frozenset[str] = frozenset()) -> pa.Table:
        """The whole table with its origins; the columns in `as_text` keep their letters ('007')."""
        with self._opened() as content:
            table = arrow_csv.read_csv(
                content, self._reading(), self._parsing(), _types(dict.fromkeys(as_text, pa.string()))
            )
        return self._own_columns(table).append_column(ORIGIN, self._origins(table, 2)[0])

    def head(self, rows: int) -> pa.Table:
        """The first rows, at most that many."""
        return self._own_columns(list(islice(self._batches({}), 2))[-1].slice(0, rows))

    def chunks(self, types: Mapping[str, pa.DataType], rows: int) -> Iterator[pa.Table]:  # noqa: ARG002
        """The columns in `types` as those types, with their origins, a block of the file at a time."""
        every = {
            name: pa.string() if is_list(types.get(name, pa.string())) else types.get(name, pa.string())
            for name in ("", *self.names())
        }
        line = 2
        for table in self._batches(every):
            origins, line = self._origins(table, line)
            if table.num_rows:
                yield table.select(list(types)).append_column(ORIGIN, origins)

    def _batches(self, types: Mapping[str, pa.DataType]) -> Iterator[pa.Table]:
        """A table without rows, and then a block of rows at a time."""
        with self._opened() as content:
            reader = arrow_csv.open_csv(content, self._reading(), self._parsing(), _types(types))
            yield reader.schema.empty_table()
            yield from (pa.Table.from_batches([batch]) for batch in reader)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        """The path of a plain file, which arrow reads ahead, else the bytes of the table. Raises DataError."""
        try:
            with self.file.open() as content:
                yield str(self.file.path) if isinstance(content, BufferedReader) else content
        except pa.ArrowInvalid as error:
            raise self._fault(error) from error

    def _reading(self) -> arrow_csv.ReadOptions:
        return arrow_csv.ReadOptions(encoding=self._encoding, block_size=BLOCK)

    def _parsing(self) -> arrow_csv.ParseOptions:
        return arrow_csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True)

    def _fault(self, error: pa.ArrowInvalid) -> DataError:
        if "conversion error" in str(error):
            return DataError(f"{self.file} holds a value of another kind than its column: {error}")
        named = {",": "comma", ";": "semicolon", "\t": "tab"}[self._delimiter]
        return DataError(
            f"{self.file} cannot be read as a table with {named}s between the columns: {self._odd_row() or error}"
        )

    def _odd_row(self) -> str:
        """The first row with more or fewer cells than the header, in words; empty where there is none."""
        filled = ((line, cells) for line, cells in self._rows() if cells)
        _, header = next(filled, (0, []))
        odd = ((line, cells) for line, cells in filled if len(cells) != len(header))
        words = "line {} has {} columns ({}), the header has {} ({})"
        return next((words.format(line, len(cells), _cut(cells), len(header), _cut(header)) for line, cells in odd), "")

    @cached_property
    def _blanks(self) -> list[int]:
        """The lines that hold no row, as they are blank; those behind the last row are none."""
        if not self._may_have_blanks():
            return []
        lines, last = list[int](), 0
        for line, cells in self._rows():
            if cells:
                last = len(lines)
            else:
                lines.append(line)
        return lines[:last]

    def _may_have_blanks(self) -> bool:
        """Return whether two line ends follow each other somewhere, told in a fraction of the time that rows take."""
        if self._encoding in ("utf-16", "utf-32"):
            return True
        with self.file.open() as content:
            end = b"\n"
            while block := content.read(BLOCK):
                if any(two in end + block for two in (b"\n\n", b"\n\r\n")):
                    return True
                end = (end + block)[-2:]
        return False

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """The last line of each row and its cells, as far as they can be told apart; blank lines have none."""
        with opened_text(self.file, self._encoding) as file, suppress(csv.Error):
            reader = csv.reader(file, delimiter=self._delimiter)
            yield from ((reader.line_num, cells) for cells in reader)

    def _found_delimiter(self) -> str:
        """The one that cuts most rows of the beginning into as many columns as the header; the comma in doubt."""
        with opened_text(self.file, self._encoding) as file:
            lines = file.read(_SAMPLE).splitlines(keepends=True)
        best, best_score = ",", (0.0, 1)
        for delimiter in _DELIMITERS:
            try:
                widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row][:200]
            except csv.Error:
                continue
            complete = widths[:-1] if len(widths) > 2 else widths  # the sample may end within a row
            share = sum(width == widths[0] for width in complete) / len(complete) if complete else 0.0
            if widths and widths[0] > 1 and (share, widths[0]) > best_score:
                best, best_score = delimiter, (share, widths[0])
        return best

    def _origins(self, table: pa.Table, first: int) -> tuple[pa.Array, int]:
        """'file.csv:LINE' of each row, and the line after the last, blank lines not counted: a row takes a line, and
        one more for each that ends within it."""
        lines = np.ones(table.num_rows, np.int64)
        for column in table.columns:
            if is_text(column.type):
                lines += pc.fill_null(pc.count_substring(column, "\n"), 0).to_numpy()
        starts = first + np.cumsum(lines) - lines
        before = np.searchsorted(np.array(self._blanks) - np.arange(len(self._blanks)), starts, side="right")
        return pa.array([f"{self.words}:{line}" for line in starts + before], pa.string()), first + int(lines.sum())


def _types(types: Mapping[str, pa.DataType]) -> arrow_csv.ConvertOptions:
    return arrow_csv.ConvertOptions(column_types=dict(types), null_values=_NO_VALUE)


def _cut(cells: Sequence[str]) -> str:
    shown = ", ".join(repr(cell[:30]) for cell in cells[:3])
    return f"{shown}, ..." if len(cells) > 3 else shown
