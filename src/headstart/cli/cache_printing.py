"""The cache on standard output, for people: how much there is, what it is for, and what has been freed."""

from __future__ import annotations

import time

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from headstart.cli.console import open_console, plain_table
from headstart.pipeline.cache_contents import Cache, Stored
from headstart.pipeline.numbers import ago_text, bytes_text

WHOSE = {
    "environment": "HEADSTART_CACHE_LIMIT",
    "kept": "kept by --limit",
    "default": "the default: a tenth of the free disk, at most 20 GB",
}


def print_cache(cache: Cache) -> None:
    """The sizes and the limit, what is stored, the other parts, and what a user must know of all that."""
    console = open_console()
    if cache.freed is not None:
        console.print(Text(f"Freed:     {bytes_text(cache.freed)}", "bold"))
    console.print(Text(f"Cache:     {cache.folder}, {bytes_text(cache.bytes)}"), soft_wrap=True)
    console.print(Text(f"Features:  {bytes_text(cache.features)}"))
    stores = "" if cache.limit else ": none are stored"
    console.print(Text(f"Limit:     {bytes_text(cache.limit)} ({WHOSE[cache.limit_origin]}){stores}"))
    if cache.stored:
        _print_stored(console, cache.stored)
    if cache.parts:
        table = plain_table("other files", "size", "")
        for part in cache.parts:
            table.add_row(part.name, bytes_text(part.bytes), part.purpose)
        console.print()
        console.print(table)
    if cache.notes:
        console.print()
    for note in cache.notes:
        console.print(Text(f"- {note}"))


def _print_stored(console: Console, stored: tuple[Stored, ...]) -> None:
    """Two lines each: what a line of 80 columns has no room for stands below the name."""
    now, title = time.time(), "features of"
    width = max(len(title), *(len(_name(one)) for one in stored))
    console.print()
    console.print(Text(f"{title:{width}}  {'examples':>9}  {'size':>7}  last used", "dim"))
    for one in stored:
        numbers = f"{one.examples:>9,}  {bytes_text(one.bytes):>7}  {ago_text(now - one.last_used)}"
        console.print(Text(f"{_name(one):{width}}  {numbers}"), soft_wrap=True)
        console.print(Padding(Text(_what(one), "dim"), (0, 0, 0, 2)))


def _name(one: Stored) -> str:
    return one.backbone or "not known"


def _what(one: Stored) -> str:
    files = "file is" if one.damaged == 1 else "files are"
    damaged = f"; {one.damaged:,} {files} damaged and will be computed again" if one.damaged else ""
    return f"{one.purpose}{damaged}"
