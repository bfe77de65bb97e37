"""Progress on standard error: bars on a terminal, a plain line every few seconds anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from headstart.kernel.progress import Advance
from headstart.kernel.terminal_text import printable
from headstart.pipeline.numbers import seconds_text

SECONDS_BETWEEN_LINES = 5.0
SECONDS_WORTH_A_LINE = 1.0
"""Work that took longer leaves a line behind that says how long."""


class RichReporter:
    """A `Reporter` for people who watch."""

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Report to `console`, standard error by default; `clock` gives seconds."""
        self._console = console or Console(file=sys.stderr, highlight=False)
        self._clock = clock
        self._bars: Progress | None = None

    @contextmanager
    def counter(self, label: str, total: int | None, unit: str) -> Iterator[Advance]:
        """A counter towards `total` items, inside another one if need be."""
        work = _Work(label, total, unit, started=self._clock())
        with self._drawn(work) as advance:
            yield advance
        if self._clock() - work.started >= SECONDS_WORTH_A_LINE:
            self.say(work.summary(self._clock()))

    def say(self, text: str) -> None:
        """One sentence; bars that run stay below it."""
        self._console.print(printable(text), markup=False, soft_wrap=True)

    @contextmanager
    def _drawn(self, work: _Work) -> Iterator[Advance]:
        if not self._console.is_terminal:
            yield self._lines(work)
        elif self._bars is not None:
            yield _bar(self._bars, work)
        else:
            self._bars = Progress(*_columns(), console=self._console, transient=True)
            try:
                with self._bars:
                    yield _bar(self._bars, work)
            finally:
                self._bars = None

    def _lines(self, work: _Work) -> Advance:
        told = work.started

        def advance(items: int, note: str = "") -> None:
            nonlocal told
            work.advance(items, note)
            now = self._clock()
            if now - told >= SECONDS_BETWEEN_LINES:
                told = now
                self.say(work.line(now))

        return advance


@dataclass
class _Work:
    """Counted work, and the lines printed about it."""

    label: str
    total: int | None
    unit: str
    started: float
    done: int = 0
    note: str = ""

    def advance(self, items: int, note: str) -> None:
        self.done += items
        self.note = note or self.note

    def count(self) -> str:
        done = f"{self.done:,}" if self.total is None else f"{self.done:,}/{self.total:,}"
        return f"{done} {self.unit}"

    def line(self, now: float) -> str:
        rate = self.done / (now - self.started)
        left = f", {seconds_text((self.total - self.done) / rate)} left" if self.total is not None and rate else ""
        return f"{self.label}: {self.count()}, {_per_second(rate)}{left}{self.aside()}"

    def summary(self, now: float) -> str:
        took = now - self.started
        rate = _per_second(self.done / took)
        return f"{self.label}: {self.done:,} {self.unit} in {seconds_text(took)} ({rate}){self.aside()}"

    def aside(self) -> str:
        return f"; {self.note}" if self.note else ""


def _bar(bars: Progress, work: _Work) -> Advance:
    task = bars.add_task(work.label, total=work.total, work=work)

    def advance(items: int, note: str = "") -> None:
        work.advance(items, note)
        bars.advance(task, items)

    return advance


def _columns() -> tuple[ProgressColumn, ...]:
    text = TextColumn("{task.description}", markup=False)
    count, speed = _Count(Column(no_wrap=True)), _Speed(Column(no_wrap=True))
    left = TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True))
    return text, BarColumn(20), count, speed, left, _Note(Column(min_width=13))


class _Count(ProgressColumn):
    def render(self, task: Task) -> Text:
        work: _Work = task.fields["work"]
        return Text(work.count())


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else _per_second(speed))


class _Note(ProgressColumn):
    """Gets what room the others leave."""

    def render(self, task: Task) -> Text:
        work: _Work = task.fields["work"]
        return Text(work.note, no_wrap=True, overflow="ellipsis")


def _per_second(rate: float) -> str:
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s"
