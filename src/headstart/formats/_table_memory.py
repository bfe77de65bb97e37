"""Tables in memory: pandas frames, arrow tables and Hugging Face datasets. The last are known by what they can do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
import pyarrow as pa

from headstart.formats._rows import ORIGIN, table_of
from headstart.formats._table_files import plain
from headstart.kernel.errors import DataError


class Frame:
    """A pandas frame; a row is named by its index label."""

    notes: tuple[str, ...] = ()
    words = "a pandas frame"
    root = ""

    def __init__(self, frame: pd.DataFrame) -> None:
        """Wrap it; nothing is copied yet."""
        self._frame = frame

    def names(self) -> list[str]:
        """The columns, as text."""
        return [str(name) for name in self._frame.columns]

    def read(self, as_text: frozenset[str] = frozenset()) -> pa.Table:  # noqa: ARG002
        """The whole table with its origins."""
        return self._table(self._frame)

    def head(self, rows: int) -> pa.Table:
        """The first rows, at most that many."""
        return self._table(self._frame.iloc[:rows])

    def chunks(self, types: Mapping[str, pa.DataType], rows: int) -> Iterator[pa.Table]:
        """The named columns with their origins, `rows` at a time."""
        for start in range(0, len(self._frame), rows):
            yield self._table(self._frame.iloc[start : start + rows]).select([*types, ORIGIN])

    def _table(self, frame: pd.DataFrame) -> pa.Table:
        table = table_of({str(name): frame.iloc[:, index] for index, name in enumerate(frame.columns)})
        return table.append_column(ORIGIN, pa.array([f"row {label}" for label in frame.index], pa.string()))


class ArrowRows:
    """An arrow table, or anything that hands out arrow tables by slices; a row is named by its number, from 0."""

    root = ""

    def __init__(self, rows: Any, words: str, class_names: Mapping[str, list[str]]) -> None:
        """`rows[start:stop]` is a `pyarrow.Table`; `class_names` turn the numbers of a column into names."""
        self._rows = rows
        self.notes: tuple[str, ...] = ()
        self._class_names = class_names
        self.words = words

    def __len__(self) -> int:
        return len(self._rows)

    def names(self) -> list[str]:
        """The columns."""
        return list(self._rows[0:0].column_names)

    def read(self, as_text: frozenset[str] = frozenset()) -> pa.Table:  # noqa: ARG002
        """The whole table with its origins."""
        return self._part(0, len(self._rows), strict=True)

    def head(self, rows: int) -> pa.Table:
        """The first rows, at most that many."""
        return self._part(0, rows)

    def chunks(self, types: Mapping[str, pa.DataType], rows: int) -> Iterator[pa.Table]:
        """The named columns with their origins, `rows` at a time."""
        for start in range(0, len(self._rows), rows):
            yield self._part(start, start + rows).select([*types, ORIGIN])

    def _part(self, start: int, stop: int, *, strict: bool = False) -> pa.Table:
        """Some rows. Raises DataError, if `strict`, on a number that is not a class."""
        table = plain(self._rows[start:stop])
        for name, class_names in self._class_names.items():
            numbers = table.column(name)
            named = [_named(number, class_names) for number in numbers.to_pylist()]
            if strict:
                _require_known(name, numbers.to_pylist(), named, len(class_names), start)
            kind = pa.list_(pa.string()) if pa.types.is_list(numbers.type) else pa.string()
            table = table.set_column(table.column_names.index(name), name, pa.array(named, kind))
        origins = [f"row {start + offset}" for offset in range(table.num_rows)]
        return table.append_column(ORIGIN, pa.array(origins, pa.string()))


def _named(number: Any, class_names: list[str]) -> Any:
    """A class number as its name, None where it is none; a list of them as names, None where it has no other items."""
    if isinstance(number, list):
        names = [_named(one, class_names) for one in number]
        return None if names and all(name is None for name in names) else names
    return class_names[number] if number is not None and 0 <= number < len(class_names) else None


def _require_known(column: str, numbers: list[Any], named: list[Any], classes: int, start: int) -> None:
    """Refuse numbers beyond the classes, and negative ones beside others: alone they are no label. Raises DataError."""
    for row, (number, names) in enumerate(zip(numbers, named), start=start):
        listed, beside = (number, names is not None) if isinstance(number, list) else ([number], False)
        strange = [one for one in listed if one is not None and (one >= classes or (one < 0 and beside))]
        if strange:
            raise DataError(
                f"row {row}, column '{column}': {strange[0]} is not a class number; these are 0 to {classes - 1}. "
                "Take it out, or give the row no label."
            )


def arrow_rows(table: pa.Table) -> ArrowRows:
    """An arrow table as a source."""
    return ArrowRows(table, "an arrow table", {})


def is_dataset(source: Any) -> bool:
    """Return whether `source` behaves like a `datasets.Dataset`."""
    return all(hasattr(source, name) for name in ("features", "column_names", "with_format", "__len__"))


def dataset_rows(dataset: Any) -> ArrowRows:
    """A Hugging Face dataset as a source: class numbers, in lists too, become their names, negative ones empty."""
    inner = {name: getattr(feature, "feature", feature) for name, feature in dataset.features.items()}
    class_names = {
        name: list(feature.names)
        for name, feature in inner.items()
        if isinstance(getattr(feature, "names", None), (list, tuple))
    }
    return ArrowRows(dataset.with_format("arrow"), "a Hugging Face dataset", class_names)
