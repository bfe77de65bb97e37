"""What a run has recorded, as the tables that a fit prints: stages, the layer view, the candidates of an adaptation."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from rich.table import Table
from rich.text import Text

from headstart.cli.console import plain_table
from headstart.contracts.metric import SHARE
from headstart.kernel.terminal_text import on_one_line
from headstart.pipeline.adaptation.rows import AdaptationRow
from headstart.pipeline.layer_rows import Layers
from headstart.pipeline.numbers import interval_text, value_text
from headstart.pipeline.record import RunRecord, StageRow

SKIPPED = "skipped"
"""How the outcome of a candidate that could not be made begins."""


def stage_table(record: RunRecord) -> Table:
    """Per run of stages alike: parameters, how many of them were trained, at which peak rate, from when on."""
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


def layer_table(layers: Layers) -> Table:
    """Figures on held-out examples, and how each stage stands to the best one, several stages to the last."""
    metric = layers.metric
    table = plain_table(f"{metric.title} of a probe", "value", "95 % interval", "")
    told = [(row, layers.standing(place)) for place, row in enumerate(layers.stages)]
    if layers.multi is not None:
        told.append((layers.multi, f"{layers.multi.to_best.verdict} against the last stage"))
    for row, words in told:
        figure = value_text(metric.unit, row.figure.value), interval_text(metric.unit, row.figure)
        table.add_row(on_one_line(row.name), *figure, words)
    return table


def adaptation_table(adaptation: AdaptationRow) -> Table:
    """Estimated accuracy of each candidate on the target, its accuracy on the source, and the outcome."""
    table = plain_table("candidate", "on the target, estimated", "90 % interval", "on the source", "")
    for row in adaptation.candidates:
        estimated = ("", "")
        if row.estimate is not None:
            estimated = value_text(SHARE, row.estimate.value), interval_text(SHARE, row.estimate)
        of_source = "" if row.fate.startswith(SKIPPED) else value_text(SHARE, row.source_accuracy)
        table.add_row(on_one_line(row.title), *estimated, of_source, Text(on_one_line(row.fate)))
    return table
