"""Inputs of which no labels are read: a pool, or a set that others are compared with."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.kernel.errors import DataError
from headstart.pipeline.data import name_of, reader_of
from headstart.pipeline.plan import Plan

ROWS_AT_ONCE = 20_000

UNREAD: dict[str, Any] = {"label": None, "group": None, "slices": (), "domain": None, "part": None}


def listed(source: Any, columns: Columns, plan: Plan, like: Examples | None = None) -> Examples:
    """List all inputs; nothing is decoded and labels are not read.

    Args:
        columns: names of columns; those of inputs are used. plan: its format and that one's settings.
        like: inputs of the same kind are asked for.

    Raises:
        DataError: there are none, or they are of another kind than those of `like`.
    """
    found, reader = reader_of(source, plan.format, plan.settings.get("format", {}))
    parts = list(reader.stream(found, columns.model_copy(update=UNREAD), ROWS_AT_ONCE))
    if not sum(map(len, parts)):
        raise DataError(f"{name_of(source)} has no inputs")
    schema = parts[0].schema
    if like is not None and schema.modality != like.schema.modality:
        wanted = like.schema.modality
        raise DataError(f"{name_of(source)} has {schema.modality} inputs, the labelled data {wanted} inputs")
    return Examples(pa.concat_tables([part.table for part in parts]).combine_chunks(), schema, parts[-1].notes)
