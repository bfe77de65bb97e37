"""A pretraining on standard output, for people: the verdict, the monitors from start to end, the gain."""

from __future__ import annotations

from rich.text import Text

from headstart.product.console import open_console, plain_table
from headstart.product.numbers import difference_text, figure_text, metric_title, value_text
from headstart.product.pretraining.record import PretrainRecord
from headstart.product.pretraining.run import PretrainedRun
from headstart.product.shown import on_one_line

MOST_LINES = 5


def print_pretrained(run: PretrainedRun) -> None:
    """The verdict, the course, the gain where labels show one, what was left out, and where everything lies."""
    record, console = run.record, open_console()
    console.print(Text(record.verdict, "bold"))
    console.print()
    table = plain_table("on held-out inputs", "at the start", "at the end")
    for name, before, after in _course(record):
        table.add_row(metric_title(name), value_text(name, before), value_text(name, after))
    console.print(table)
    if record.gain is not None:
        for comparison in record.gain.comparisons:
            arms, metric = record.gain.arms, comparison.metric
            figures = ", ".join(f"{arm.title} {figure_text(metric, arm.figures[metric])}" for arm in arms.values())
            console.print(Text(f"{metric_title(metric)}: {figures}"))
            console.print(Text(f"{difference_text(metric, comparison.difference)}, {comparison.verdict}"))
    troubles = [f"{trouble.origin} {trouble.reason}" for trouble in record.data.unreadable]
    lines = [*record.data.notes, *troubles]
    for line in lines[:MOST_LINES]:
        console.print(Text(on_one_line(f"- {line}")))
    left = len(record.data.notes) + record.data.unreadable_count - MOST_LINES
    if left > 0:
        console.print(f"  and {left:,} more")
    console.print()
    for name, place in {"Run": run.folder, "Report": run.report}.items():
        console.print(Text(on_one_line(f"{name + ':':8}{place}")), soft_wrap=True)
    console.print(Text(on_one_line(f"Use it:  headstart fit LABELLED --backbone {run.folder}")), soft_wrap=True)


def _course(record: PretrainRecord) -> list[tuple[str, float, float]]:
    """Name, value before the first step, value after the last: of the loss and every monitor."""
    last = {"loss": record.history[-1].val_loss, **record.history[-1].monitors}
    return [(name, record.start[name], last[name]) for name in record.start if name in last]
