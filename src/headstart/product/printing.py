"""Results on standard output, for people: what matters first, readable at 80 columns and without colour."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from headstart.kernel.settings import FieldHelp
from headstart.product.plugin_help import Entry
from headstart.product.record import RunRecord, SliceRow
from headstart.product.report.numbers import difference_text, interval_text, metric_title, value_text

if TYPE_CHECKING:
    import pandas as pd

    from headstart.product.run import Run


def print_fit(run: Run) -> None:
    """The verdict, every figure of every arm with its interval, the comparisons, and where everything lies."""
    record, console = run.record, _console()
    style = "bold yellow" if record.negative_transfer else "bold"
    console.print(Text(record.verdict, style))
    console.print()
    console.print(_arms(record))
    for comparison in record.comparisons:
        other = record.arms[comparison.against].title
        difference = difference_text(comparison.metric, comparison.difference)
        console.print(Text(f"{metric_title(comparison.metric)} against {other}: {difference}, {comparison.verdict}"))
    _print_slices(console, record.slices, record.primary_metric, record.worst_slice)
    for notes in (record.data.notes, [f"{trouble.origin} {trouble.reason}" for trouble in record.data.unreadable]):
        _print_some(console, notes)
    console.print()
    _print_places(console, {"Run": run.folder, "Report": run.report})


def print_evaluation(evaluation: Any) -> None:
    """The figures with their intervals, then those of every slice."""
    console = _console()
    table = _table("figure", "value", "95 % interval", "n")
    for metric, figure in evaluation.figures.items():
        row = value_text(metric, figure.value), interval_text(metric, figure), f"{figure.n:,}"
        table.add_row(metric_title(metric), *row)
    console.print(table)
    _print_slices(console, evaluation.slices, next(iter(evaluation.figures)), evaluation.worst_slice)
    _print_some(console, evaluation.notes)


def print_inspection(inspection: Any) -> None:
    """The findings, gravest first as they come, each on lines of its own."""
    console = _console()
    for finding in inspection.findings:
        console.print(Text(f"{finding.severity}: {finding.text}"))
    if not inspection.findings:
        console.print("Nothing wrong was found.")


def print_predicted(summary: Any) -> None:
    """How many rows were predicted, and where they lie."""
    found = summary.to_json()
    failed = f"; {found['failed']:,} could not be read and are named in the file" if found["failed"] else ""
    print(f"{found['rows']:,} predictions in {found['out']}{failed}")


def print_frame(frame: pd.DataFrame) -> None:
    """Predictions as CSV."""
    frame.to_csv(sys.stdout, index=False)


def frame_document(frame: pd.DataFrame) -> dict[str, Any]:
    """Predictions as plain values: {"rows": number, "predictions": [{column: value}]}."""
    return {"rows": len(frame), "predictions": json.loads(frame.to_json(orient="records"))}


def print_entries(entries: Iterable[Entry]) -> None:
    """Names with a sentence each."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for entry in entries:
        table.add_row(Text(entry.name, "bold"), Text(entry.idea))
    _console().print(table)


def print_settings(family: str, idea: str, rows: Sequence[FieldHelp]) -> None:
    """The settings of a plug-in, under the names that `--set` takes."""
    console = _console()
    console.print(Text(idea))
    if not rows:
        console.print("\nIt has no settings.")
    for row in rows:
        default = row.default if row.default == "required" else f"default {row.default}"
        console.print()
        console.print(Text.assemble((f"{family}.{row.name}", "bold"), f"  {row.type}, {default}"))
        console.print(Padding(Text(row.meaning), (0, 0, 0, 4)))
    if rows:
        console.print(f"\nSet one with --set {family}.{rows[0].name}=VALUE.")


def _arms(record: RunRecord) -> Table:
    """Metric by metric, so that the arms stand below each other; the primary metric first."""
    table = _table("on the test part", "value", "95 % interval", "")
    order = sorted(record.greater_is_better, key=lambda metric: metric != record.primary_metric)
    for metric in order:
        title = metric_title(metric)
        for arm in record.arms.values():
            if metric in arm.figures:
                figure = arm.figures[metric]
                table.add_row(title, value_text(metric, figure.value), interval_text(metric, figure), Text(arm.title))
                title = ""
    return table


def _print_slices(console: Console, slices: Sequence[SliceRow], metric: str, worst: str) -> None:
    if not slices:
        return
    table = _table(f"{metric_title(metric)} where", "value", "95 % interval", "n")
    for row in slices:
        if metric in row.figures:
            figure = row.figures[metric]
            where = Text(f"{row.column} = {row.value}")
            table.add_row(where, value_text(metric, figure.value), interval_text(metric, figure), f"{row.n:,}")
    console.print()
    console.print(table)
    if worst:
        console.print(Text(f"Worst: {worst}"))


def _print_some(console: Console, lines: Sequence[str], most: int = 5) -> None:
    """The first lines, and how many more there are."""
    for line in lines[:most]:
        console.print(Text(f"- {line}"))
    if len(lines) > most:
        console.print(f"  and {len(lines) - most:,} more")


def _print_places(console: Console, places: Mapping[str, object]) -> None:
    for name, place in places.items():
        console.print(Text(f"{name + ':':8}{place}"), soft_wrap=True)


def _table(first: str, *columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right" if column in ("value", "n") else "left")
    return table


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise  # `product/exits.py` decides how that ends


def _console() -> Console:
    return _Console(highlight=False)
