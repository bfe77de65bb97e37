"""CSV and TSV files: encoding and delimiter found from the content, rows named by the line they start on."""

from __future__ import annotations

import codecs
import csv
import mmap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from headstart.contracts.left_out import left_out
from headstart.formats._rows import ORIGIN, is_list, is_text
from headstart.kernel.errors import DataError
from headstart.kernel.regular import require_regular

_BLOCK = 1 << 24
"""Bytes read at a time; no row may be longer."""
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

    def __init__(self, path: Path) -> None:
        """Look at the file. Raises DataError when it is empty or cannot be read."""
        self.path = path
        self.root = str(path.parent)
        self.words = path.name
        try:
            if require_regular(path).st_size == 0:
                raise DataError(f"{path} is empty (0 bytes)")
            self._encoding = _encoding(path)
            self._delimiter = "\t" if path.suffix.lower() in (".tsv", ".tab") else _delimiter(path, self._encoding)
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}") from error

    @property
    def notes(self) -> tuple[str, ...]:
        """A fallback encoding, and blank lines."""
        unusual = self._encoding not in ("utf-8", "utf-16")
        encoding = (f"{self.path.name} is not UTF-8; it was read as {self._encoding}",) if unusual else ()
        return (*encoding, *left_out([f"{self.path.name}:{line}" for line in self._blanks], "blank lines"))

    def names(self) -> list[str]:
        """The columns."""
        return self._names

    @cached_property
    def _names(self) -> list[str]:
        with self._open({}) as reader:
            return list(reader.schema.names)

    def read(self, as_text: frozenset[str] = frozenset()) -> pa.Table:
        """The whole table with its origins; the columns in `as_text` keep their letters ('007')."""
        try:
            table = arrow_csv.read_csv(
                self.path,
                arrow_csv.ReadOptions(encoding=self._encoding, block_size=_BLOCK),
                self._parsing(),
                arrow_csv.ConvertOptions(column_types=dict.fromkeys(as_text, pa.string()), null_values=_NO_VALUE),
            )
        except pa.ArrowInvalid as error:
            raise self._fault(error) from error
        return table.append_column(ORIGIN, self._origins(table, 2)[0])

    def head(self, rows: int) -> pa.Table:
        """The first rows, at most that many."""
        with self._open({}) as reader:
            batch = next(iter(reader), None)
            return reader.schema.empty_table() if batch is None else pa.Table.from_batches([batch]).slice(0, rows)

    def chunks(self, types: Mapping[str, pa.DataType], rows: int) -> Iterator[pa.Table]:  # noqa: ARG002
        """The columns in `types` as those types, with their origins, a block of the file at a time."""
        every = {
            name: pa.string() if is_list(types.get(name, pa.string())) else types.get(name, pa.string())
            for name in self.names()
        }
        line = 2
        try:
            with self._open(every) as reader:
                for batch in reader:
                    table = pa.Table.from_batches([batch])
                    origins, line = self._origins(table, line)
                    yield table.select(list(types)).append_column(ORIGIN, origins)
        except pa.ArrowInvalid as error:
            raise self._fault(error) from error

    def _open(self, types: Mapping[str, pa.DataType]) -> arrow_csv.CSVStreamingReader:
        try:
            return arrow_csv.open_csv(
                self.path,
                arrow_csv.ReadOptions(encoding=self._encoding, block_size=_BLOCK),
                self._parsing(),
                arrow_csv.ConvertOptions(column_types=dict(types), null_values=_NO_VALUE),
            )
        except pa.ArrowInvalid as error:
            raise self._fault(error) from error

    def _parsing(self) -> arrow_csv.ParseOptions:
        return arrow_csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True)

    def _fault(self, error: pa.ArrowInvalid) -> DataError:
        if "conversion error" in str(error):
            return DataError(f"{self.path} holds a value of another kind than its column: {error}")
        named = {",": "comma", ";": "semicolon", "\t": "tab"}[self._delimiter]
        return DataError(
            f"{self.path} cannot be read as a table with {named}s between the columns: {self._odd_row() or error}"
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
        with open(self.path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            wide = self._encoding == "utf-16"
            if not wide and content[:1] not in b"\r\n" and all(content.find(two) < 0 for two in (b"\n\n", b"\n\r\n")):
                return []
        lines, last = list[int](), 0
        for line, cells in self._rows():
            if cells:
                last = len(lines)
            else:
                lines.append(line)
        return lines[:last]

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """The last line of each row and its cells, as far as they can be told apart; blank lines have none."""
        encoding = "utf-8-sig" if self._encoding == "utf-8" else self._encoding
        with open(self.path, encoding=encoding, newline="") as file, suppress(csv.Error):
            reader = csv.reader(file, delimiter=self._delimiter)
            yield from ((reader.line_num, cells) for cells in reader)

    def _origins(self, table: pa.Table, first: int) -> tuple[pa.Array, int]:
        """'file.csv:LINE' of each row, and the line after the last, blank lines not counted: a row takes a line, and
        one more for each that ends within it."""
        lines = np.ones(table.num_rows, np.int64)
        for column in table.columns:
            if is_text(column.type):
                lines += pc.fill_null(pc.count_substring(column, "\n"), 0).to_numpy()
        starts = first + np.cumsum(lines) - lines
        before = np.searchsorted(np.array(self._blanks) - np.arange(len(self._blanks)), starts, side="right")
        return pa.array([f"{self.path.name}:{line}" for line in starts + before], pa.string()), first + int(lines.sum())


def _encoding(path: Path) -> str:
    """'utf-8' (with or without a mark), 'utf-16' (with one), else the Western encodings. Raises DataError."""
    with open(path, "rb") as file:
        if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            fault = _undecodable(path, "utf-16")
            if fault is not None:
                raise DataError(f"{path} begins as UTF-16 and is not: {fault}")
            return "utf-16"
    return next((encoding for encoding in ("utf-8", "cp1252") if _undecodable(path, encoding) is None), "latin-1")


def _undecodable(path: Path, encoding: str) -> UnicodeDecodeError | None:
    """The first fault of a file in an encoding; None where there is none."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with open(path, "rb") as file:
            while block := file.read(_BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        return error
    return None


def _delimiter(path: Path, encoding: str) -> str:
    """The one that cuts most rows of the beginning into as many columns as the header; the comma in doubt."""
    with open(path, encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="") as file:
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


def _cut(cells: Sequence[str]) -> str:
    shown = ", ".join(repr(cell[:30]) for cell in cells[:3])
    return f"{shown}, ..." if len(cells) > 3 else shown
