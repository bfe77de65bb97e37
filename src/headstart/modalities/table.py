"""Tables: rows of numbers, categories and dates, by the types of their columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from headstart.contracts.examples import Raw, Schema
from headstart.contracts.modality import PlainModality, Sizes
from headstart.kernel.files import hash_bytes
from headstart.numerics.table_encoding import Row

_SHOWN = 24
"""Values in a preview."""


class Table(PlainModality):
    """Rows of numbers, categories and dates."""

    unit: ClassVar[str] = "rows"

    def named(self, table: pa.Table, schema: Schema) -> Mapping[str, Any]:
        """The columns by their kinds."""
        kinds = [_kind(table.schema.field(name).type) for name in schema.inputs]
        roles = ("numeric", "categorical", "date")
        found = {role: tuple(name for name, kind in zip(schema.inputs, kinds) if kind == role) for role in roles}
        return {**found, "only": True}

    def raws(self, table: pa.Table, schema: Schema) -> list[Raw]:
        """Rows as `numerics.table_encoding` reads them: vectors (columns,) float64 where all are numbers."""
        columns = [table.column(name) for name in schema.inputs]
        if any(_kind(column.type) != "numeric" for column in columns):
            values = [[None if value != value else value for value in column.to_pylist()] for column in columns]
            return list(zip(*values))
        numbers = [column.to_numpy(zero_copy_only=False).astype(np.float64) for column in columns]
        return list(np.stack(numbers, axis=1)) if numbers else []

    def key(self, raw: Raw, digest: str) -> str:  # noqa: ARG002
        """A hash of the 64-bit numbers, or of all values as they are written."""
        # adding zero turns -0.0 into 0.0, which is the same number with another bit
        if isinstance(raw, np.ndarray):
            return hash_bytes(b"table", (self.numbers(raw) + 0.0).tobytes())
        written = repr(tuple(cell + 0.0 if isinstance(cell, float) else cell for cell in raw))
        return hash_bytes(b"mixed table", written.encode("utf-8", "surrogatepass"))

    def flaw(self, raw: Raw) -> str:
        """Some value must be there, and none infinite."""
        if np.isinf(self.numbers(raw)).any():
            return "has an infinite number"
        empty = np.isnan(raw).all() if isinstance(raw, np.ndarray) else all(cell is None for cell in raw)
        return "has no value in any column" if empty else ""

    def rows(self, raws: Sequence[Raw]) -> Sequence[Row]:
        """The rows themselves."""
        return raws

    def numbers(self, raw: Raw) -> np.ndarray:
        """(columns,) float64, NaN for a gap, a category and a date."""
        cells = raw if isinstance(raw, np.ndarray) else [cell if isinstance(cell, float) else np.nan for cell in raw]
        return np.asarray(cells, np.float64)

    def sizes(self, raws: Sequence[Raw], names: Sequence[str]) -> Sizes:
        """The values of each column of numbers."""
        numbers = np.array([self.numbers(raw) for raw in raws]).reshape(len(raws), len(names))
        return Sizes({name: numbers[:, k][~np.isnan(numbers[:, k])] for k, name in enumerate(names)})

    def preview(self, raw: Raw) -> str:
        """The first values."""
        return ", ".join(map(_shown, raw[:_SHOWN]))

    def recognises(self, inputs: Any) -> float:  # noqa: ARG002
        """Last resort: values that are not numbers are reported when they are read."""
        return 0.1

    def columns(self, inputs: Any) -> Mapping[str, Any]:
        """A column for each of the columns of a matrix (examples, columns)."""
        block = np.asarray(inputs, dtype=np.float64)
        return {f"x{k}": block[:, k] for k in range(block.shape[1])}


def _kind(type_: pa.DataType) -> str:
    if pa.types.is_timestamp(type_):
        return "date"
    return "numeric" if pa.types.is_floating(type_) or pa.types.is_integer(type_) else "categorical"


def _shown(cell: float | str | datetime | None) -> str:
    if cell is None:
        return "-"
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)
