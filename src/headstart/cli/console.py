"""Consoles and tables for people: no frames, no guessed colours, the same on a terminal and in a file."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

NUMBERS = frozenset("value n size parameters trained rate".split())
"""Columns that are aligned on the right."""


def open_console() -> Console:
    """Standard output."""
    return _Console(highlight=False)


def plain_grid() -> Table:
    """Rows without a heading."""
    return Table.grid(padding=(0, 2, 0, 0), pad_edge=False)


def plain_table(first: str, *columns: str) -> Table:
    """Rows under a heading; the first column is never wrapped."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right" if column in NUMBERS else "left")
    return table


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise  # `cli/exits.py` decides how that ends
