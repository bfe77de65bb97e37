"""A ranking of pretrained models as tables for people."""

from __future__ import annotations

from rich.text import Text

from headstart.cli.console import open_console, plain_table
from headstart.kernel.terminal_text import on_one_line
from headstart.pipeline.numbers import interval_text, parameters_text, value_text
from headstart.pipeline.selection.record import Selection
from headstart.present.report.selection import chance, giga_text, short


def print_selection(found: Selection) -> None:
    """The ranking with what each model costs, other scores, what was skipped, and the answer."""
    console, metric = open_console(), found.info(found.primary_metric)
    ranked = plain_table("model", metric.title, "95 % interval", "best", "ms", "size", "licence")
    scored = plain_table("model", *found.score_titles.values(), "GFLOPs", "published")
    for row in found.backbones:
        name = on_one_line(short(row.reference))
        figure = value_text(metric.unit, row.figure.value), interval_text(metric.unit, row.figure)
        time = f"{row.milliseconds:.1f}" if row.milliseconds else ""
        ranked.add_row(name, *figure, chance(row, found), time, parameters_text(row.parameters), row.licence)
        scores = (value_text(found.score_units[name], row.scores[name]) for name in found.score_titles)
        scored.add_row(
            name, *scores, giga_text(row.operations), "" if row.published is None else f"{row.published:.1f}"
        )
    console.print(ranked)
    if found.score_titles:
        console.print()
        console.print(scored)
    console.print()
    for one in found.skipped:
        console.print(Text(on_one_line(f"Skipped {one.reference}: {one.reason}")))
    console.print(Text(found.verdict))
    console.print(Text(f"{metric.title} {found.basis}: {found.examples:,} examples."))
    console.print("The test part was not looked at.")
