"""The candidates of an adaptation as the table that a fit prints."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from headstart.cli.console import plain_table
from headstart.contracts.metric import SHARE
from headstart.kernel.terminal_text import on_one_line
from headstart.pipeline.adaptation.rows import AdaptationRow
from headstart.pipeline.numbers import interval_text, value_text

SKIPPED = "skipped"
"""How the outcome of a candidate that could not be made begins."""


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
