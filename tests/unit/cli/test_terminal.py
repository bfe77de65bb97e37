"""Progress: plain lines now and then when nobody watches, bars when someone does."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from headstart.cli.terminal import RichReporter


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def plain(clock: Clock) -> tuple[RichReporter, io.StringIO]:
    file = io.StringIO()
    return RichReporter(Console(file=file, width=80), clock), file


def watched(clock: Clock) -> tuple[RichReporter, io.StringIO]:
    file = io.StringIO()
    console = Console(file=file, width=80, force_terminal=True, legacy_windows=False, color_system=None)
    return RichReporter(console, clock), file


def test_a_line_every_few_seconds_with_rate_and_time_left() -> None:
    clock = Clock()
    reporter, file = plain(clock)
    with reporter.counter("features", 2000, "images") as advance:
        for _ in range(5):
            clock.now += 2.0
            advance(200)
    assert file.getvalue().splitlines() == [
        "features: 600/2,000 images, 100/s, 14.0 s left",
        "features: 1,000 images in 10.0 s (100/s)",
    ]


def test_without_a_total_nothing_is_said_of_the_time_left() -> None:
    clock = Clock()
    reporter, file = plain(clock)
    with reporter.counter("rows", None, "rows") as advance:
        clock.now += 8
        advance(4)
    assert file.getvalue().splitlines() == ["rows: 4 rows, 0.5/s", "rows: 4 rows in 8.0 s (0.5/s)"]


def test_what_the_work_is_busy_with_stands_in_the_lines_until_it_changes() -> None:
    clock = Clock()
    reporter, file = plain(clock)
    with reporter.counter("features", None, "images") as advance:
        clock.now += 5
        advance(50, "reading 90 %, network 10 %")
        clock.now += 5
        advance(50)
        advance(0, "network 90 %, reading 10 %")
    assert file.getvalue().splitlines() == [
        "features: 50 images, 10/s; reading 90 %, network 10 %",
        "features: 100 images, 10/s; reading 90 %, network 10 %",
        "features: 100 images in 10.0 s (10/s); network 90 %, reading 10 %",
    ]


def test_bars_show_it_as_far_as_there_is_room() -> None:
    for width, seen in ((80, "network 6"), (140, "network 62 %, reading 35 %, storing 3 %")):
        file = io.StringIO()
        console = Console(file=file, width=width, force_terminal=True, legacy_windows=False, color_system=None)
        with RichReporter(console, Clock()).counter("features from resnet18", 2000, "images") as advance:
            advance(900, "network 62 %, reading 35 %, storing 3 %")
        assert seen in file.getvalue()
        assert all(len(line) <= width for line in file.getvalue().replace("\x1b[2K", "\n").splitlines())


def test_quick_work_leaves_no_line() -> None:
    clock = Clock()
    for reporter, file in (plain(clock), watched(clock)):
        with reporter.counter("rows", 3, "rows") as advance:
            clock.now += 0.5
            advance(3)
        assert "rows in" not in file.getvalue()


def test_work_that_fails_leaves_no_line_of_success() -> None:
    for kind in (plain, watched):
        clock = Clock()
        reporter, file = kind(clock)
        with pytest.raises(RuntimeError), reporter.counter("rows", 3, "rows"):
            clock.now += 30
            raise RuntimeError
        assert "rows in" not in file.getvalue()


def test_bars_show_count_and_leave_a_line_and_sentences() -> None:
    clock = Clock()
    reporter, file = watched(clock)
    with reporter.counter("features", 20, "images") as advance:
        advance(5)
        reporter.say("a sentence [with brackets]")
        with reporter.counter("files", None, "files") as inner:
            inner(7)
        clock.now += 2.0
        advance(15)
    shown = file.getvalue()
    assert "features" in shown
    assert "20/20 images" in shown
    assert "a sentence [with brackets]" in shown
    assert "7 files" in shown
    assert "features: 20 images in 2.0 s (10/s)" in shown


def test_bars_can_follow_each_other() -> None:
    reporter, file = watched(Clock())
    for label in ("first", "second"):
        with reporter.counter(label, 1, "files") as advance:
            advance(1)
    assert "second" in file.getvalue()
