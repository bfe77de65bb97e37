"""Columns of a table as numbers, categories or dates: those the user named, else by what they hold; or why not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from headstart.contracts.format import Columns
from headstart.formats import _column_kinds as kinds
from headstart.formats._cell_values import date_in, is_gap
from headstart.formats._numerals import DecimalSign, signs_of
from headstart.formats._rows import CATEGORIES, is_text
from headstart.kernel.errors import some

FEWEST = 20
"""Rows from which values that are nearly all different mean nothing."""
FEW_VALUES = 20
"""Different values up to which some that are not numbers make a column one of categories."""
MOST_NAMED = 12
"""Columns in a note."""

EMPTY = "they hold no value"
CONSTANT = "they say the same in every row"
IDENTIFIER = "they identify rows"
UNIQUE = "nearly every row has a value of its own (--categorical COLUMN takes one all the same)"
PROSE = "they hold running text (--text COLUMN reads one)"
PATHS = "they hold paths of pictures"


class TableColumns(NamedTuple):
    """The columns of a table that are inputs, and why others are not."""

    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    date: tuple[str, ...] = ()
    left: Mapping[str, str] = {}
    """Name -> why, in words that follow 'left out as'."""
    faults: Mapping[str, str] = {}
    """Name of a column that could be numbers -> what is wrong."""

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs: numbers, then categories, then dates."""
        return (*self.numeric, *self.categorical, *self.date)

    def notes(self, table: pa.Table) -> tuple[str, ...]:
        """Sentences on what is taken as what, where not all are numbers, and on what is left out."""
        yes_no = [name for name in self.numeric if pa.types.is_boolean(table.schema.field(name).type)]
        taken = {
            "numbers": [name for name in self.numeric if name not in yes_no],
            "yes or no": yes_no,
            "categories": [f"{name} ({_distinct(table.column(name))} values)" for name in self.categorical],
            "dates": self.date,
        }
        said = "; ".join(f"as {kind}: {listed(names)}" for kind, names in taken.items() if names)
        reasons: defaultdict[str, list[str]] = defaultdict(list)
        for name, why in self.left.items():
            reasons[why].append(name)
        return (
            *([f"columns taken {said}"] if self.names != self.numeric or yes_no else []),
            *(f"columns left out as {why}: {listed(names)}" for why, names in reasons.items()),
            *(f"column '{name}' left out: {fault}" for name, fault in self.faults.items()),
        )


def table_columns(table: pa.Table, names: Sequence[str], columns: Columns, decimal: DecimalSign) -> TableColumns:
    """Sort the columns of those names by what they are."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    left, faults = dict[str, str](), dict[str, str]()
    for name in names:
        given = next((kind for kind in ("categorical", "date") if name in getattr(columns, kind)), "")
        kind = given or _kind(name, table, decimal)
        if kind in ("numeric", "categorical", "date"):
            found[kind].append(name)
        elif kind.startswith("they ") or kind == UNIQUE:
            left[name] = kind
        else:
            faults[name] = f"{kind}; --categorical {name} takes it as a category"
    return TableColumns(tuple(found["numeric"]), tuple(found["categorical"]), tuple(found["date"]), left, faults)


def _kind(name: str, table: pa.Table, decimal: DecimalSign) -> str:
    """'numeric', 'categorical' or 'date'; else why it is left out, or what is wrong with it."""
    column, types = table.column(name), pa.types
    if column.null_count == len(column):
        return EMPTY
    if CATEGORIES in (table.schema.field(name).metadata or {}):
        return "categorical"
    if kinds.is_numeric(column.type):
        return IDENTIFIER if kinds.is_identifier(name, column) else "numeric"
    if types.is_timestamp(column.type) or types.is_date(column.type):
        return "date"
    if types.is_time(column.type) or types.is_duration(column.type):
        return "numeric"
    return _kind_of_texts(name, column, decimal) if is_text(column.type) else f"they hold {column.type}"


def _kind_of_texts(name: str, column: pa.ChunkedArray, decimal: DecimalSign) -> str:
    fault = kinds.fault_of_numbers(column, decimal)
    known = [cell.strip() for cell in column.to_pylist() if not is_gap(cell)]
    distinct = len(set(known))
    if not known:
        return EMPTY
    if fault == "" and not kinds.is_identifier(name, column):
        return "numeric"
    if fault and not (distinct <= FEW_VALUES and 2 * distinct <= len(known) and not all(map(signs_of, set(known)))):
        return fault
    if all(date_in(cell) for cell in known[:FEWEST]):
        return "date"
    if kinds.is_identifier(name, column):
        return IDENTIFIER
    if kinds.looks_like_paths(column):
        return PATHS
    if kinds.is_prose(column):
        return PROSE
    if distinct == 1 and len(known) == len(column):
        return CONSTANT
    own = 2 * distinct > len(known) if len(known) >= FEWEST else distinct == len(known) > 1
    return UNIQUE if own else "categorical"


def _distinct(column: pa.ChunkedArray) -> int:
    cells = pc.unique(column).to_pylist()
    return sum(not is_gap(cell) if isinstance(cell, str) else cell is not None for cell in cells)


def listed(names: Sequence[str]) -> str:
    """The names, of many the first and how many more."""
    return some(names, MOST_NAMED)
