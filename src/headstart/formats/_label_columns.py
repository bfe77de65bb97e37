"""The label column of a table, read as its cells or their type say; or a column of 0 and 1 for each label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from headstart.contracts.format import Columns
from headstart.formats._column_guess import Inputs
from headstart.formats._label_column import LabelColumn, LabelForm, Labels, name_of
from headstart.formats._label_lists import holds_records, read_lists
from headstart.formats._label_texts import lists_in, read_texts
from headstart.formats._numerals import DecimalSign
from headstart.formats._rows import MIXED, ORIGIN, is_list, is_text
from headstart.formats._span_values import with_spans
from headstart.kernel.errors import DataError
from headstart.numerics.few_values import are_few

WRITTEN = "__written__"
"""The column of labels as they are written, where numbers were read from them."""

_MIDNIGHT = " 00:00:00"


class LabelReading(NamedTuple):
    """The way in which label cells are to be read."""

    typed: bool
    """Whether the source tells text from numbers."""
    form: LabelForm
    decimal: DecimalSign
    notes: list[str]
    """What was decided, for the user; added to."""


class ReadLabels(NamedTuple):
    """A table whose label column was read."""

    table: pa.Table
    target: str
    """'label', or 'spans' of characters."""
    roles: Mapping[str, Any] = MappingProxyType({})
    """Fields of the schema about the labels, beside their column."""


def with_labels(table: pa.Table, label: str, reading: LabelReading, inputs: Inputs) -> ReadLabels:
    """Read the label column of a table whose inputs were read.

    Raises:
        DataError: the cells cannot be read in one way; the cell and the setting that decides are named.
    """
    table = _with_plain_type(table, label)
    kind = table.schema.field(label).type
    column = LabelColumn(label, table.column(label).to_pylist(), table.column(ORIGIN).to_pylist(), *reading)
    lists = lists_in(column) if is_text(kind) else column if is_list(kind) or pa.types.is_struct(kind) else None
    if lists is not None and column.form in ("names", "numbers"):
        raise column.refusal(f"the cells are lists, such as {column.first()}, and no {column.form}")
    if lists is not None and holds_records(lists):
        lists.say(f"{len(lists.known())} of {table.num_rows} cells are lists of spans")
        return ReadLabels(
            with_spans(table, lists, inputs.columns if pa.string() in inputs.types.values() else ()), "spans"
        )
    if lists is not None:
        labels = read_lists(lists)
    elif is_text(kind):
        labels = read_texts(column)
    elif column.form == "names":
        labels = Labels(
            pa.array([None if cell is None or cell != cell else name_of(cell) for cell in column.cells], pa.string())
        )
    else:
        labels = Labels(table.column(label))
    if pa.types.is_integer(labels.values.type):
        _refuse_negative_class(column, Counter(labels.values.drop_null().to_pylist()))
    table = _replaced(table, label, labels.values)
    roles = {"label_form": labels.form, "decimal": labels.decimal, "separator": labels.separator}
    if labels.written is not None:
        table = table.append_column(WRITTEN, labels.written)
    return ReadLabels(table, "label", {**roles, "written": WRITTEN if labels.written is not None else None})


def _refuse_negative_class(column: LabelColumn, counts: Counter[int]) -> None:
    """Refuse -1 and the like beside class numbers from 0 on, where it often means no label; -1, 0, 1 are plain."""
    negative, others = ([number for number in counts if (number < 0) == below] for below in (True, False))
    if len(negative) != 1 or not others or negative[0] == -max(others) or not are_few(len(counts), counts.total()):
        return
    if column.form not in ("names", "numbers"):
        raise column.refusal(
            f"{counts[negative[0]]} cells are {negative[0]}, beside class numbers from {min(others)} on. Leave them"
            " empty where there is no label; --set format.labels=names takes them for a class"
        )


def _with_plain_type(table: pa.Table, label: str) -> pa.Table:
    """The label column with dates and times as text, decimals as numbers, and blank texts as missing.

    Raises:
        DataError: the values are of several kinds.
    """
    mixed = (table.schema.field(label).metadata or {}).get(MIXED)
    if mixed:
        raise DataError(
            f"the label column '{label}' mixes values of several kinds: {mixed.decode()}. "
            "Make them all numbers or all text."
        )
    column = table.column(label)
    if is_text(column.type):
        empty = pc.equal(pc.utf8_trim_whitespace(column), "")
        return _replaced(table, label, pc.if_else(empty, pa.scalar(None, column.type), column))
    if pa.types.is_decimal(column.type):
        return _replaced(table, label, column.cast(pa.float64()))
    if not pa.types.is_temporal(column.type):
        return table
    texts = [None if value is None else str(value) for value in column.to_pylist()]
    midnight = _MIDNIGHT if all(text is None or text.endswith(_MIDNIGHT) for text in texts) else ""
    return _replaced(table, label, pa.array([text and text.removesuffix(midnight) for text in texts], pa.string()))


def with_label_columns(table: pa.Table, columns: Columns, notes: list[str]) -> tuple[pa.Table, Columns]:
    """The columns `columns.labels` as one of lists of names, and the columns with that one as the label.

    Raises:
        DataError: a value is neither 0 nor 1, true nor false; its place is given.
    """
    held = {name: _held(table, name) for name in columns.labels}
    sets = [[name for name in columns.labels if held[name][row]] for row in range(table.num_rows)]
    never = [name for name in columns.labels if not any(held[name])]
    if never:
        notes.append(f"left out, as no example has them: {', '.join(never)}")
    joined = ", ".join(columns.labels)
    table = table.drop_columns(list(columns.labels)).append_column(joined, pa.array(sets, pa.list_(pa.string())))
    return table, columns.model_copy(update={"label": joined, "labels": ()})


def _held(table: pa.Table, name: str) -> Sequence[bool]:
    values: list[Any] = table.column(name).to_pylist()
    for row, value in enumerate(values):
        if value not in (0, 1):  # true and false are 1 and 0
            raise DataError(
                f"{table.column(ORIGIN)[row].as_py()}, column '{name}': {value!r} is neither 0 nor 1. Several --label "
                "columns say for each label whether an example has it; with --task joint each is a task of its own."
            )
    return [bool(value) for value in values]


def _replaced(table: pa.Table, name: str, values: pa.ChunkedArray | pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)
