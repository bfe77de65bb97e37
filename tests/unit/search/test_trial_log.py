from __future__ import annotations

import os
from pathlib import Path

import pytest

from headstart.kernel.errors import TrainingError
from headstart.pipeline.budget import Allowance
from headstart.search.trial_log import Journal


def journal(path: Path | None, identity: str = "data", seconds: float = 7.0) -> Journal:
    clock = iter([0.0, *[seconds] * 99])
    return Journal(path, identity, Allowance(100.0, lambda: next(clock)))


def test_a_decision_is_made_once_and_read_back(tmp_path: Path) -> None:
    made: list[int] = []

    def decide() -> int:
        made.append(1)
        return len(made)

    first = journal(tmp_path / "search.json")
    assert [first.once("a", decide), first.once("a", decide)] == [1, 1]
    again = journal(tmp_path / "search.json")
    assert again.once("a", decide) == 1
    assert again.once("b", decide) == 2


def test_the_time_of_the_interrupted_search_is_charged(tmp_path: Path) -> None:
    journal(tmp_path / "search.json").once("a", dict)
    assert journal(tmp_path / "search.json").allowance.earlier == 7.0


def test_the_time_after_its_last_decision_is_charged_as_far_as_it_wrote_anything(tmp_path: Path) -> None:
    path = tmp_path / "search.json"
    journal(path).once("a", dict)
    (tmp_path / "full.checkpoint").write_bytes(b"")
    written = (tmp_path / "full.checkpoint").stat().st_mtime
    os.utime(path, (written - 30.0, written - 30.0))
    assert journal(path).allowance.earlier == pytest.approx(37.0)
    os.utime(path, (written + 3600.0, written + 3600.0))  # resumed an hour later, and killed before any decision
    assert journal(path).allowance.earlier == pytest.approx(37.0 + 7.0)


def test_another_search_begins_anew(tmp_path: Path) -> None:
    journal(tmp_path / "search.json", "data").once("a", lambda: 1)
    other = journal(tmp_path / "search.json", "other data")
    assert other.once("a", lambda: 2) == 2
    assert other.allowance.earlier == 0.0


def test_a_damaged_file_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "search.json").write_text('{"identity": "da')
    assert journal(tmp_path / "search.json").once("a", lambda: 3) == 3


def test_what_fails_is_not_written_down(tmp_path: Path) -> None:
    def fail() -> int:
        raise TrainingError("no")

    first = journal(tmp_path / "search.json")
    with pytest.raises(TrainingError):
        first.once("a", fail)
    assert journal(tmp_path / "search.json").once("a", lambda: 4) == 4


def test_without_a_file_it_remembers_while_it_lives() -> None:
    first = journal(None)
    assert [first.once("a", lambda: 1), first.once("a", lambda: 2)] == [1, 1]
