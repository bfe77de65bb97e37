"""Sheets of workbooks (.xlsx) as tables, by openpyxl: the first row that is not empty names the columns."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

import pyarrow as pa

from headstart.contracts.left_out import left_out
from headstart.formats._record_tables import Record, RecordTable
from headstart.formats._stored_file import StoredFile, chosen
from headstart.formats._table_part import refuse_twins
from headstart.kernel.errors import DataError

_OLE = b"\xd0\xcf\x11\xe0"
"""How a workbook begins that is older than .xlsx, or that a password protects."""
_FAILED = frozenset(("#N/A", "#DIV/0!", "#REF!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!"))
"""What a cell holds whose formula failed."""
_DAMAGE = (zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError, IndexError, SyntaxError)
"""What openpyxl raises on XML that is none, or other than it should be."""
_TITLES = 10
"""First rows among which the names of the columns are looked for."""

Row = tuple[int, list[Any]]
"""Its number in the sheet, and its cells; the last that are empty may be missing."""


class Sheet(RecordTable):
    """A sheet; a row is named by its number in the sheet."""

    def __init__(self, file: StoredFile, wanted: str | None = None) -> None:
        """Find the sheet. Raises DataError where it is not a workbook, or it is not clear which sheet is meant."""
        super().__init__(file)
        self._failed: dict[str, None] = {}
        self._unnamed: set[int] = set()
        self._above: list[str] = []
        filled = list(self._of_workbook(_filled_sheets))
        if not filled:
            raise DataError(f"{file} is empty: no sheet has a cell with a value")
        self._name = chosen(file, "sheets", filled, wanted)
        self.words = file.name if len(filled) == 1 else f"{file.name}/{self._name}"

    @property
    def notes(self) -> tuple[str, ...]:
        """Failed formulas, and cells in columns without a name, among the rows that have been read."""
        nameless = f"{self.words}: {len(self._unnamed)} columns without a name left out"
        failed = left_out(list(self._failed), f"{self.words}: cells of formulas that failed")
        above = left_out(self._above, "rows above the names of the columns")
        return (*above, *failed, *([nameless] if self._unnamed else []))

    def read(self, as_text: frozenset[str] = frozenset()) -> pa.Table:
        """The whole table with its origins. Raises DataError where a column has formulas and no values."""
        table = super().read(as_text)
        empty = {name for name in table.column_names if pa.types.is_null(table.schema.field(name).type)}
        for name, cell in self._formulas().items() if empty else ():
            if name in empty:
                raise DataError(
                    f"{self.file}: column '{name}' holds formulas such as {cell}, whose values the file does not have. "
                    "Open it in a spreadsheet program and save it, or save the sheet as CSV."
                )
        return table

    def records(self) -> Iterator[Record]:
        """Those of the rows that are not empty."""
        rows = self._table_rows()
        header = self._header(next(rows)[1])
        for number, cells in rows:
            values: dict[str, Any] = dict.fromkeys(header.values())
            for place, value in enumerate(cells):
                if value in _FAILED:
                    self._failed.setdefault(f"row {number}")
                elif place in header:
                    values[header[place]] = value
                elif value is not None:
                    self._unnamed.add(place)
            yield number, values

    def _header(self, cells: list[Any]) -> dict[int, str]:
        """Place -> name of each column that has one."""
        header = {place: str(name) for place, name in enumerate(cells) if name is not None}
        refuse_twins([*header.values()], self.words)
        return header

    def _formulas(self) -> dict[str, str]:
        """Column -> a formula in it."""
        rows = self._table_rows(values=False)
        header = self._header(next(rows)[1])
        cells = ((header.get(place), cell) for _, row in rows for place, cell in enumerate(row))
        return {name: cell for name, cell in cells if name and isinstance(cell, str) and cell.startswith("=")}

    def _table_rows(self, *, values: bool = True) -> Iterator[Row]:
        """The row that names the columns, and those below; a lone cell above it is a title."""
        rows = self._of_workbook(lambda book: _rows(book[self._name]), values=values)
        first = list(islice(rows, _TITLES))
        start = next((place for place, (_, cells) in enumerate(first) if _width(cells) > 1), 0)
        self._above = [f"{self.words}:{number}" for number, _ in first[:start]]
        return chain(first[start:], rows)

    def _of_workbook(self, take: Any, *, values: bool = True) -> Iterator[Any]:
        try:
            import openpyxl
        except ImportError as error:
            raise DataError(f'openpyxl is needed to read {self.file}: pip install "headstart[excel]"') from error
        with self.file.open() as content:
            old = content.read(len(_OLE)) == _OLE
            if old:
                raise DataError(
                    f"{self.file} is protected by a password, or is in the format that came before .xlsx. Save it as "
                    ".xlsx without a password."
                )
            content.seek(0)
            try:
                yield from take(openpyxl.load_workbook(content, read_only=True, data_only=values))
            except _DAMAGE as error:
                raise DataError(f"{self.file} cannot be read as a workbook: {error}") from error


def _filled_sheets(book: Any) -> Iterator[str]:
    """The names of the sheets with a value."""
    return (sheet.title for sheet in book.worksheets if next(_rows(sheet), None))


def _rows(sheet: Any) -> Iterator[Row]:
    """The rows with at least a value; of formulas the values or themselves, as the workbook was opened."""
    sheet.reset_dimensions()  # some programs write wrong ones, beyond which nothing would be read
    found = enumerate(sheet.iter_rows(values_only=True), start=1)
    return ((number, list(cells)) for number, cells in found if _width(cells))


def _width(cells: Iterable[Any]) -> int:
    """Cells with a value."""
    return sum(cell not in (None, "") for cell in cells)
