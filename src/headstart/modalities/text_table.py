"""Texts with columns of a table beside them: a text and a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa

from headstart.contracts.examples import Raw, Schema
from headstart.contracts.modality import PREVIEW, PlainModality, Sizes, modality_named
from headstart.kernel.files import hash_bytes
from headstart.numerics.table_encoding import Row

_TEXT, _ROW = "text", "table"
"""The modalities of the two halves."""


class TextAndRow(NamedTuple):
    """An input."""

    text: str
    """Of several columns one after the other."""
    row: Row


class TextTable(PlainModality):
    """Texts with columns of a table beside them."""

    unit: ClassVar[str] = "texts"
    like_lengths: ClassVar[bool] = True
    no_backbone: ClassVar[str] = modality_named(_TEXT).no_backbone

    def named(self, table: pa.Table, schema: Schema) -> Mapping[str, Any]:
        """The columns of texts, and the others by their kinds."""
        return {"text": schema.inputs[: schema.texts], **modality_named(_ROW).named(table, _beside(schema))}

    def raws(self, table: pa.Table, schema: Schema) -> list[Raw]:
        """Pairs of a text and a row."""
        columns = [table.column(name).to_pylist() for name in schema.inputs[: schema.texts]]
        texts = ["\n".join(cell for cell in cells if cell) for cells in zip(*columns)]
        return [TextAndRow(*both) for both in zip(texts, modality_named(_ROW).raws(table, _beside(schema)))]

    def key(self, raw: Raw, digest: str) -> str:
        """A hash of both."""
        keys = (modality_named(_TEXT).key(raw.text, digest), modality_named(_ROW).key(raw.row, digest))
        return hash_bytes(*(key.encode() for key in keys))

    def flaw(self, raw: Raw) -> str:
        """A text or a value must be there, and no infinite number."""
        return modality_named(_ROW).flaw(raw.row) if not raw.text.strip() or np.isinf(self.numbers(raw)).any() else ""

    def texts(self, raw: Raw) -> tuple[str, ...]:
        """The text."""
        return (raw.text,)

    def rows(self, raws: Sequence[Raw]) -> Sequence[Row]:
        """The rows."""
        return [raw.row for raw in raws]

    def numbers(self, raw: Raw) -> np.ndarray:
        """(columns beside the text,) float64, NaN for what is no number."""
        cells: Any = modality_named(_ROW)
        return np.asarray(cells.numbers(raw.row))

    def sizes(self, raws: Sequence[Raw], names: Sequence[str]) -> Sizes:
        """Those of the texts and the values of the numbers."""
        texts = modality_named(_TEXT).sizes([raw.text for raw in raws], ())
        width = len(raws[0].row) if raws else 0
        rows = modality_named(_ROW).sizes([raw.row for raw in raws], names[len(names) - width :])
        return Sizes({**texts.values, **rows.values}, texts.notes)

    def preview(self, raw: Raw) -> str:
        """The row, and the beginning of the text."""
        return f"{modality_named(_ROW).preview(raw.row)}: {raw.text}"[:PREVIEW]


def _beside(schema: Schema) -> Schema:
    return schema.model_copy(update={"inputs": schema.inputs[schema.texts :]})
