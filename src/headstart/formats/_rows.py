"""Small things that every table source shares: our column names, and values of any kind as an arrow array."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

ORIGIN = "__origin__"
"""Column that says where a row came from, beside the user's columns."""

MIXED = b"mixed"
"""Metadata of a field whose values were of several kinds and were read as text: an example of each."""

CATEGORIES = b"categories"
"""Metadata of a field whose values were said to be categories and are not texts: pandas' categorical numbers."""

_LISTS = frozenset({"list", "tuple", "set", "frozenset"})


def is_text(kind: pa.DataType) -> bool:
    """Return whether a column type is one of arrow's strings."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_list(kind: pa.DataType) -> bool:
    """Return whether a column type is one of arrow's lists."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def table_of(columns: Mapping[str, Any]) -> pa.Table:
    """A table from columns of plain values or arrays; what no arrow type holds becomes text, and is marked."""
    fields, arrays = [], []
    for name, values in columns.items():
        array, metadata = _array(values)
        fields.append(pa.field(name, array.type, metadata=metadata))
        arrays.append(array)
    return pa.table(arrays, schema=pa.schema(fields))


def table_of_records(records: Sequence[Mapping[str, Any]]) -> pa.Table:
    """A table from records, whose keys may differ."""
    names = list(dict.fromkeys(name for record in records for name in record))
    return table_of({name: [record.get(name) for record in records] for name in names})


def _array(values: Any) -> tuple[pa.Array | pa.ChunkedArray, dict[bytes, bytes] | None]:
    try:
        array = pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        present = [None if _missing(value) else value for value in values]
        kinds: dict[str, Any] = {}
        for value in present:
            if value is not None:
                kinds.setdefault(type(value).__name__, value)
        examples = ", ".join(f"{value!r} ({kind})" for kind, value in kinds.items())
        texts = pa.array([None if value is None else _written(value) for value in present], pa.string())
        return texts, None if len(kinds) == 1 or kinds.keys() <= _LISTS else {MIXED: examples.encode()}
    coded = pa.types.is_dictionary(array.type)
    kind = array.type.value_type if coded else array.type
    if isinstance(kind, pa.BaseExtensionType):  # intervals and periods of pandas
        return pa.array([str(value) if value == value else None for value in values], pa.string()), None
    marked = {CATEGORIES: b""} if coded and not is_text(kind) else None
    return array if array.type == kind else array.cast(kind), marked


def _written(value: Any) -> str:
    """A value as text; of sets in a fixed order."""
    return str(sorted(value, key=str) if isinstance(value, (set, frozenset)) else value)


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)
