"""A pretraining on standard output, for people: the verdict, the monitors from start to end, the gain."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from headstart.cli.console import open_console, plain_table
from headstart.kernel.terminal_text import on_one_line
from headstart.pipeline.numbers import difference_text, interval_text, value_text
from headstart.pipeline.pretraining.record import Gain, PretrainRecord
from headstart.pipeline.run_folder import PretrainedRun

MOST_LINES = 5


def print_pretrained(run: PretrainedRun) -> None:
    """The verdict, the course, the gain where labels show one, what was left out, and where everything lies."""
    record, console = run.record, open_console()
    console.print(Text(record.verdict, "bold"))
    console.print()
    table = plain_table("on held-out inputs", "at the start", "at the end")
    for name, before, after in _course(record):
        unit = record.unit(name)
        table.add_row(record.title(name), value_text(unit, before), value_text(unit, after))
    console.print(table)
    if record.gain is not None:
        console.print()
        console.print(_arms(record.gain))
    troubles = [f"{trouble.origin} {trouble.reason}" for trouble in record.data.unreadable]
    lines = [*record.data.notes, *troubles]
    for line in lines[:MOST_LINES]:
        console.print(Text(on_one_line(f"- {line}")))
    left = len(record.data.notes) + record.data.unreadable_count - MOST_LINES
    if left > 0:
        console.print(f"  and {left:,} more")
    console.print()
    console.print(Text(on_one_line(f"Licence of the pretrained weights: {record.backbone_licence}")))
    for name, place in {"Run": run.folder, "Report": run.report}.items():
        console.print(Text(on_one_line(f"{name + ':':8}{place}")), soft_wrap=True)
    console.print(Text(on_one_line(f"Use it:  headstart fit LABELLED --backbone {run.folder}")), soft_wrap=True)


def _arms(gain: Gain) -> Table:
    """The probes, and what the one on the result is ahead of each other."""
    metric, unit = gain.primary_metric, gain.unit(gain.primary_metric)
    found = {comparison.against: comparison for comparison in gain.comparisons}
    table = plain_table(f"{gain.title(metric)}, labelled test part", "value", "95 % interval", "gain of the result")
    for key, arm in gain.arms.items():
        row = arm.figures[metric]
        lead = difference_text(unit, found[key].difference) if key in found else ""
        table.add_row(Text(arm.title), value_text(unit, row.value), interval_text(unit, row), lead)
    return table


def _course(record: PretrainRecord) -> list[tuple[str, float, float]]:
    """Name, value before the first step, value after the last: of the loss and every monitor."""
    last = {"loss": record.history[-1].val_loss, **record.history[-1].monitors}
    return [(name, record.start[name], last[name]) for name in record.start if name in last]
