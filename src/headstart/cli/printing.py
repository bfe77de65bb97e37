"""Results on standard output, for people: what matters first, readable at 80 columns and without colour."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from headstart.cli.console import open_console, plain_grid, plain_table
from headstart.cli.plugin_help import Entry
from headstart.cli.record_tables import adaptation_table, layer_table, stage_table
from headstart.cli.shift_printing import print_shift
from headstart.kernel.terminal_text import as_list, on_one_line
from headstart.kernel.user_settings import FieldHelp
from headstart.pipeline.numbers import difference_text, interval_text, spread_text, value_text
from headstart.pipeline.prediction_table import lines_of
from headstart.pipeline.record import DataIssue, DataSummary, FigureRow, RunRecord

if TYPE_CHECKING:
    import pandas as pd

    from headstart.pipeline.inspection import Inspection
    from headstart.verbs.evaluate import Evaluation
    from headstart.verbs.predict import PredictionSummary
    from headstart.verbs.run import Run

MOST_METRICS = 8
"""Metrics that are printed; a figure per label can be many."""

MOST_NOTES = 20
"""Sentences on the data that are printed; a list of classes may be long."""

_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "dim"}


def print_fit(run: Run) -> None:
    """The verdict, every figure of every arm with its interval, the comparisons, and where everything lies."""
    record, console = run.record, open_console()
    forgot = record.forgetting
    alarming = record.negative_transfer or (forgot is not None and forgot.verdict == "worse")
    style = "bold yellow" if alarming else "bold"
    console.print(Text(record.verdict, style))
    if record.data.leaks:
        console.print(Text(_leaks(record.data), "bold yellow"))
        _print_some(console, [*map(_trouble_text, record.data.leaks)], most=3)
    console.print()
    if record.adaptation is not None:
        adaptation = record.adaptation
        told = f"Shift to {adaptation.target}: {adaptation.kind}, {adaptation.reason}. {adaptation.why}"
        console.print(Text(on_one_line(told)))
        console.print(adaptation_table(adaptation))
        console.print()
    console.print(_arms(record))
    for comparison in record.comparisons:
        other = record.arms[comparison.against].title
        metric = record.info(comparison.metric)
        difference = difference_text(metric.unit, comparison.difference)
        console.print(Text(f"{metric.title} against {other}: {difference}, {comparison.verdict}"))
    if record.time_gain is not None:
        console.print(Text(on_one_line(record.time_gain.sentence)))
    if record.label_curve is not None:
        curve = record.label_curve
        gains = [gain.sentence for gain in curve.gains]
        for sentence in (curve.sentence or f"No label curve: {curve.reason}.", *gains):
            console.print(Text(sentence))
    _print_slices(console, record)
    _print_spread(console, record)
    about_old = [] if forgot is None else [*forgot.notes, *map(_trouble_text, forgot.leaked)]
    _print_some(console, [*about_old, *record.data.notes], most=MOST_NOTES)
    _print_some(console, [*map(_trouble_text, record.data.unreadable)])
    if record.head is not None:
        console.print()
        console.print(stage_table(record))
    if record.layers is not None:
        console.print()
        console.print(layer_table(record.layers))
        console.print(Text(on_one_line(record.layers.sentence)))
    console.print()
    console.print(Text(on_one_line(f"Licence of the pretrained weights: {record.backbone_licence}")))
    places = {"Run": run.folder, **({"Tuned": run.tuned} if run.tuned else {}), "Report": run.report}
    if record.adaptation is not None and record.adaptation.predictions:
        places["Target"] = run.folder / record.adaptation.predictions
    for name, place in places.items():
        console.print(Text(on_one_line(f"{name + ':':8}{place}")), soft_wrap=True)


def print_evaluation(evaluation: Evaluation) -> None:
    """The figures with their intervals, those of every slice, and what a reader of them must know."""
    console = open_console()
    table = plain_table(f"on {evaluation.n:,} examples", "value", "95 % interval")
    for metric in _primary_first(evaluation.figures, evaluation.primary_metric):
        table.add_row(evaluation.title(metric), *_cells(evaluation.unit(metric), evaluation.figures[metric]))
    console.print(table)
    _print_slices(console, evaluation)
    _print_some(console, evaluation.notes, most=MOST_NOTES)
    _print_some(console, [*map(_trouble_text, evaluation.unreadable)])


def print_inspection(inspection: Inspection) -> None:
    """Return what the data are, then every finding, gravest first."""
    console = open_console()
    console.print(Text(on_one_line(f"{inspection.source}: {inspection.seen}"), "bold"))
    grid = plain_grid()
    for finding in inspection.findings:
        grid.add_row(Text(f"{finding.severity}:", _STYLES[finding.severity]), Text(as_list(finding.text)))
    console.print(grid)
    if inspection.shift is not None:
        print_shift(console, inspection.shift)
    if not inspection.assumed and all(finding.severity == "note" for finding in inspection.findings):
        console.print("No problems found.")


def print_predicted(summary: PredictionSummary) -> None:
    """Return how many rows were predicted, and where they lie."""
    failed = f"; {summary.failed:,} could not be predicted; the column 'error' says why" if summary.failed else ""
    print(f"{summary.rows:,} predictions in {summary.out}{failed}")
    if summary.gathered:
        print(f"{len(summary.gathered):,} scans with their masks, such as {summary.gathered[0]}")
    if summary.followed:
        table, *drawn = summary.followed
        print(f"Tracks in {table}" + (f", drawn into {drawn[0]}" if drawn else ""))


def print_frame(frame: pd.DataFrame) -> None:
    """Predictions as CSV."""
    frame.to_csv(sys.stdout, index=False)


def print_lines(frame: pd.DataFrame) -> None:
    """Predictions as JSON Lines."""
    sys.stdout.write(lines_of(frame))


def frame_document(frame: pd.DataFrame) -> dict[str, Any]:
    """Predictions as plain values: {"rows": number, "predictions": [{column: value}]}."""
    return {"rows": len(frame), "predictions": json.loads(frame.to_json(orient="records"))}


def print_entries(entries: Iterable[Entry]) -> None:
    """Names with a sentence each."""
    grid = plain_grid()
    for entry in entries:
        grid.add_row(Text(entry.name, "bold"), Text(entry.idea))
    open_console().print(grid)


def print_settings(family: str, idea: str, rows: Sequence[FieldHelp]) -> None:
    """The settings of a plug-in, under the names that `--set` takes."""
    console = open_console()
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
    """Metric by metric, so that the arms stand below each other."""
    table = plain_table("on the test part", "value", "95 % interval", "")
    metrics = _primary_first(record.metrics, record.primary_metric)
    for metric in metrics[:MOST_METRICS]:
        title, reason = record.title(metric), ""
        for arm in record.arms.values():
            if metric in arm.figures:
                value, interval = _cells(record.unit(metric), arm.figures[metric])
                table.add_row(title, value, "as above" if reason and interval == reason else interval, Text(arm.title))
                title, reason = "", arm.figures[metric].reason
    if len(metrics) > MOST_METRICS:
        table.add_row(f"{len(metrics) - MOST_METRICS} more in metrics.json", "", "", "")
    return table


def _leaks(data: DataSummary) -> str:
    """Return how many examples of each part have copies in the train part."""
    counted = [f"{part.leaks:,} of {part.examples:,} {part.name} examples" for part in data.parts if part.leaks]
    counts = " and ".join(counted) or f"{len(data.leaks):,} examples outside the train part"
    return f"Warning: {counts} have copies in the train part: figures on them are too good."


def _print_spread(console: Console, record: RunRecord) -> None:
    """Return how far the runs lie apart, where the record sums up several."""
    for key, spreads in record.spreads.items():
        metric, title = record.info(record.primary_metric), record.arms[key].title
        spread = spread_text(metric.unit, spreads[record.primary_metric])
        words = f"{metric.title} of {title}: standard deviation {spread} over the runs"
        console.print(Text(on_one_line(words)))


def _print_slices(console: Console, found: RunRecord | Evaluation) -> None:
    metric = found.primary_metric
    rows = [row for row in found.slices if metric in row.figures]
    if not rows:
        return
    table = plain_table(f"{found.title(metric)} where", "value", "95 % interval", "n")
    for row in rows:
        name, cells = f"{row.column} = {row.value}", _cells(found.unit(metric), row.figures[metric])
        table.add_row(Text(on_one_line(name)), *cells, f"{row.n:,}")
    console.print()
    console.print(table)
    if found.worst_slice:
        console.print(Text(on_one_line(f"Worst: {found.worst_slice}")))


def _cells(unit: str, figure: FigureRow) -> tuple[str, str]:
    return value_text(unit, figure.value), interval_text(unit, figure)


def _primary_first(metrics: Iterable[str], primary: str) -> list[str]:
    return sorted(metrics, key=lambda metric: metric != primary)


def _trouble_text(trouble: DataIssue) -> str:
    return f"{trouble.origin} {trouble.reason}"


def _print_some(console: Console, lines: Sequence[str], most: int = 5) -> None:
    """The first lines, and how many more there are."""
    for line in lines[:most]:
        console.print(Text(on_one_line(f"- {line}")))
    if len(lines) > most:
        console.print(f"  and {len(lines) - most:,} more")
