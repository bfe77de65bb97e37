"""Suggestions as a table for people."""

from __future__ import annotations

from rich.text import Text

from headstart.cli.console import open_console, plain_table
from headstart.kernel.terminal_text import on_one_line
from headstart.pipeline.suggestion import Suggestions

SHOWN = 20
"""Suggestions that are printed where a file has all of them."""


def print_suggestions(found: Suggestions, out: str | None) -> None:
    """The suggestions, or the first of those that were written to `out`, the method and the notes."""
    console = open_console()
    shown = found.rows if out is None else found.rows[:SHOWN]
    table = plain_table("label next", "why", "")
    for row in shown:
        table.add_row(on_one_line(row.origin), row.reason, Text(on_one_line(row.text[:60])))
    console.print(table)
    console.print()
    for note in found.notes:
        console.print(Text(on_one_line(f"- {note}")))
    of = f"{len(found.rows):,} of {found.pool:,} examples, {found.labelled:,} labelled so far"
    console.print(Text(f"{of}: {found.method}, as {found.reason}."))
    if out is not None:
        console.print(Text(f"All of them: {out}"))
