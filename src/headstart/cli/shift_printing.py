"""A comparison with another set as tables for people."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from headstart.cli.console import plain_table
from headstart.kernel.terminal_text import on_one_line
from headstart.pipeline.inspection import ShiftRow
from headstart.pipeline.numbers import p_text

MOST_CLASSES = 12


def print_shift(console: Console, shift: ShiftRow) -> None:
    """The tests, and the mix of classes in both sets where that differs."""
    table = plain_table("do the sets differ in", "measured by", "value", "corrected", "")
    for one in shift.tests:
        value, answer = f"{one.value:.3g}", "yes" if one.found else "not found"
        table.add_row(one.name, one.statistic, value, p_text(one.corrected), Text(answer, "bold" if one.found else ""))
    console.print()
    console.print(table)
    if not shift.missing_classes and not any(one.found and one.name == "labels" for one in shift.tests):
        return
    mix = plain_table("share of", "data", "other", "estimated" if shift.mix_holds else "")
    for share in sorted(shift.classes, key=lambda share: -abs(share.estimated - share.data))[:MOST_CLASSES]:
        counted = "unknown" if share.other is None else f"{share.other:.1%}"
        estimated = "" if not shift.mix_holds else f"{share.estimated:.1%} ({share.low:.1%} to {share.high:.1%})"
        mix.add_row(on_one_line(share.name), f"{share.data:.1%}", counted, estimated)
    console.print()
    console.print(mix)
