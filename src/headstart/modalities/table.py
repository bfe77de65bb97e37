"""Tables: rows of numbers, one for each numeric column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from headstart.contracts.examples import Raw, Schema
from headstart.contracts.modality import PlainModality, Sizes
from headstart.kernel.files import hash_bytes

_SHOWN = 24
"""Numbers in a preview."""


class Table(PlainModality):
    """Rows of numbers."""

    unit: ClassVar[str] = "rows"
    role: ClassVar[str] = "numeric"

    def raws(self, table: pa.Table, schema: Schema) -> list[Raw]:
        """Vectors (columns,) float64."""
        columns = [table.column(name).to_numpy(zero_copy_only=False) for name in schema.inputs]
        return list(np.stack([column.astype(np.float64) for column in columns], axis=1)) if columns else []

    def key(self, raw: Raw, digest: str) -> str:  # noqa: ARG002
        """A hash of the 64-bit numbers."""
        # adding zero turns -0.0 into 0.0, which is the same number with another bit
        return hash_bytes(b"table", (self.numbers(raw) + 0.0).tobytes())

    def flaw(self, raw: Raw) -> str:
        """Every number must be present and finite."""
        return "" if np.isfinite(self.numbers(raw)).all() else "has a missing or infinite number"

    def numbers(self, raw: Raw) -> np.ndarray:
        """The row itself, (columns,) float64."""
        return np.asarray(raw, np.float64)

    def sizes(self, raws: Sequence[Raw], names: Sequence[str]) -> Sizes:
        """The values of each column."""
        numbers = np.array(raws, dtype=np.float64).reshape(len(raws), len(names))
        return Sizes({name: numbers[:, k][~np.isnan(numbers[:, k])] for k, name in enumerate(names)})

    def preview(self, raw: Raw) -> str:
        """The first numbers."""
        return ", ".join(f"{value:.4g}" for value in self.numbers(raw)[:_SHOWN])

    def recognises(self, inputs: Any) -> float:  # noqa: ARG002
        """Last resort: values that are no numbers are reported when they are read."""
        return 0.1

    def columns(self, inputs: Any) -> Mapping[str, Any]:
        """A column for each of the columns of a matrix (examples, columns)."""
        block = np.asarray(inputs, dtype=np.float64)
        return {f"x{k}": block[:, k] for k in range(block.shape[1])}
