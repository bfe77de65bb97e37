"""Standard streams that are closed, full or read by nobody: a documented exit code, and never a traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from small_data import OFFLINE
from stopped_commands import with_closed, with_output_that_nobody_reads, with_output_to

import headstart
from forked_processes import Forked
from headstart.cli.exits import NO_READER
from headstart.kernel.errors import DataError

LINES = pytest.mark.parametrize(
    "line", [("help",), ("help", "tuning", "full", "--json"), ("--version",), ("inspect", "photos")], ids=" ".join
)


@pytest.fixture(autouse=True)
def own_photos(here: Path, photos: Path) -> None:
    (here / "photos").symlink_to(photos)


def ended(run: Callable[..., None], *arguments: object) -> tuple[int, str]:
    with Forked(run, *arguments) as process:
        code = process.wait()
        assert "Traceback" not in process.err and "Exception ignored" not in process.err
        return code, process.err


@LINES
def test_a_closed_output_is_said(line: tuple[str, ...]) -> None:
    code, err = ended(with_closed, (1,), *line)
    assert code == NO_READER
    assert "Error: standard output cannot be written" in err


@pytest.mark.parametrize("closed", [(0,), (2,), (0, 2)])
def test_other_closed_streams_change_nothing(closed: tuple[int, ...]) -> None:
    with Forked(with_closed, closed, "inspect", "photos") as process:
        assert process.wait() == 0
        assert process.out.startswith("photos: 2 class folders")


def test_with_all_closed_the_exit_code_tells() -> None:
    assert ended(with_closed, (0, 1, 2), "inspect", "photos") == (NO_READER, "")
    assert ended(with_closed, (0, 1, 2), "inspect", "nowhere") == (DataError.exit_code, "")


def test_a_fit_whose_answer_nobody_hears_is_whole() -> None:
    code, _ = ended(with_closed, (0, 1), "fit", "photos", *OFFLINE, "--no-scratch", "--out", "mine")
    assert code == NO_READER
    run = headstart.load("mine")
    assert run.report.exists() and run.metrics["test"]["accuracy"]["value"] == 1.0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
@LINES
def test_a_full_disk_below_the_output_is_said(line: tuple[str, ...]) -> None:
    code, err = ended(with_output_to, "/dev/full", *line)
    assert (code, "No space left on device" in err) == (1, True)


@pytest.mark.parametrize("streams", [(1,), (1, 2)])
def test_a_reader_that_has_gone_needs_no_message(streams: tuple[int, ...]) -> None:
    assert ended(with_output_that_nobody_reads, streams, "inspect", "photos") == (NO_READER, "")
    assert ended(with_output_that_nobody_reads, streams, "help") == (NO_READER, "")
