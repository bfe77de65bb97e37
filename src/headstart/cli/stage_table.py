"""Frozen and trained stages as the table that a fit prints: stages alike stand in one row."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from rich.table import Table

from headstart.cli.console import plain_table
from headstart.kernel.terminal_text import on_one_line
from headstart.pipeline.record import RunRecord, StageRow


def stage_table(record: RunRecord) -> Table:
    """Per run of stages of one kind: parameters, how many of them were trained, at which peak rate, from when on."""
    table = plain_table("stage", "parameters", "trained", "rate", "")
    for _, alike in groupby(record.stages, _kind):
        table.add_row(*_cells(list(alike)))
    if record.head is not None:  # under a name of its own: some backbones have a stage called head
        table.add_row(*_cells([record.head.model_copy(update={"name": "task head"})]))
    return table


def _kind(row: StageRow) -> Any:
    return row.state, row.learning_rate, row.start


def _cells(rows: list[StageRow]) -> Iterable[str]:
    first, last = rows[0], rows[-1]
    name = first.name if first is last else f"{first.name} to {last.name}"
    trained = sum(row.trained for row in rows)
    rate = "frozen" if first.state == "frozen" else f"{first.learning_rate:.2g}" if first.learning_rate else "solved"
    begun = f"from {100 * first.start:.0f} % of the training on" if first.start else ""
    return on_one_line(name), f"{sum(row.parameters for row in rows):,}", f"{trained:,}", rate, begun
