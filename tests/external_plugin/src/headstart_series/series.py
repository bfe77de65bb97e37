"""Series: measurements at equal steps of time, each series as long as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from headstart.contracts.examples import Raw, Schema
from headstart.contracts.modality import PREVIEW, PlainModality, Sizes
from headstart.kernel.errors import DataError
from headstart.kernel.files import hash_bytes

FEWEST = 8
"""Measurements from which something can be learnt."""


class Series(PlainModality):
    """Series of numbers; an input is a tuple of floats."""

    unit: ClassVar[str] = "series"
    like_lengths: ClassVar[bool] = True
    no_backbone: ClassVar[str] = "no backbone for series is installed: --backbone spectrum comes with this package"

    def raws(self, table: pa.Table, schema: Schema) -> list[Raw]:
        """Return the one input column, a tuple of floats for each row; a missing series is empty."""
        return [tuple(values or ()) for values in table.column(schema.inputs[0]).to_pylist()]

    def key(self, raw: Raw, digest: str) -> str:
        """Hash the 64-bit numbers."""
        return hash_bytes(b"series", (np.array(raw, np.float64) + 0.0).tobytes())

    def flaw(self, raw: Raw) -> str:
        """Every number must be there, and some more than a handful."""
        if len(raw) < FEWEST:
            return f"has {len(raw)} measurements, {FEWEST} are needed"
        return "" if np.isfinite(raw).all() else "has a missing or infinite measurement"

    def sizes(self, raws: Sequence[Raw], names: Sequence[str]) -> Sizes:
        """Lengths, and the span between the least and the greatest value."""
        whole = [np.array(raw) for raw in raws if len(raw) and np.isfinite(raw).all()]
        return Sizes({"measurements": [len(raw) for raw in raws], "range": [float(np.ptp(values)) for values in whole]})

    def preview(self, raw: Raw) -> str:
        """The first measurements."""
        return ", ".join(f"{value:.4g}" for value in raw[:24])[:PREVIEW] or "no measurements"

    def recognises(self, inputs: Any) -> float:
        """Lists of numbers that are of different lengths; those of one length are rows of a table."""
        if isinstance(inputs, np.ndarray) and inputs.ndim > 1:
            return 0.0
        rows = list(inputs)
        return 0.9 * (all(_is_series(row) for row in rows) and len({len(row) for row in rows}) > 1)

    def columns(self, inputs: Any) -> Mapping[str, Any]:
        """One column of lists. Raises DataError on anything but a list of numbers."""
        rows = list(inputs)
        for number, row in enumerate(rows):
            if not _is_series(row):
                raise DataError(f"row {number} of X is of type {type(row).__name__}; expected a list of numbers")
        return {"series": pa.array([[float(value) for value in row] for row in rows], pa.list_(pa.float64()))}


def _is_series(row: Any) -> bool:
    if isinstance(row, np.ndarray):
        return row.ndim == 1 and row.dtype.kind in "iuf"
    return isinstance(row, (list, tuple)) and all(isinstance(value, Real) for value in row)
