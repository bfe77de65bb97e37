"""The layer view as the table that a fit prints: stage by stage, and several stages at once."""

from __future__ import annotations

from rich.table import Table

from headstart.cli.console import plain_table
from headstart.kernel.terminal_text import on_one_line
from headstart.pipeline.layer_rows import Layers
from headstart.pipeline.numbers import interval_text, value_text


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
