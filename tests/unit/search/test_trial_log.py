from __future__ import annotations

import os
from pathlib import Path

import pytest

from headstart.kernel.errors import TrainingError
from headstart.pipeline.budget import Budget
from headstart.search.trial_log import TrialLog


def trial_log(path: Path | None, identity: str = "data", seconds: float = 7.0) -> TrialLog:
    clock = iter([0.0, *[seconds] * 99])
    return TrialLog(path, identity, Budget(100.0, lambda: next(clock)))


def test_a_decision_is_made_once_and_read_back(tmp_path: Path) -> None:
    made: list[int] = []

    def decide() -> int:
        made.append(1)
        return len(made)

    first = trial_log(tmp_path / "search.json")
    assert [first.once("a", decide), first.once("a", decide)] == [1, 1]
    again = trial_log(tmp_path / "search.json")
    assert again.once("a", decide) == 1
    assert again.once("b", decide) == 2


def test_the_time_of_the_interrupted_search_is_charged(tmp_path: Path) -> None:
    trial_log(tmp_path / "search.json").once("a", dict)
    assert trial_log(tmp_path / "search.json").time_budget.earlier == 7.0


def test_the_time_after_its_last_decision_is_charged_as_far_as_it_wrote_anything(tmp_path: Path) -> None:
    path = tmp_path / "search.json"
    trial_log(path).once("a", dict)
    (tmp_path / "full.checkpoint").write_bytes(b"")
    written = (tmp_path / "full.checkpoint").stat().st_mtime
    os.utime(path, (written - 30.0, written - 30.0))
    assert trial_log(path).time_budget.earlier == pytest.approx(37.0)
    os.utime(path, (written + 3600.0, written + 3600.0))  # resumed an hour later, and killed before any decision
    assert trial_log(path).time_budget.earlier == pytest.approx(37.0 + 7.0)


def test_another_search_begins_anew(tmp_path: Path) -> None:
    trial_log(tmp_path / "search.json", "data").once("a", lambda: 1)
    other = trial_log(tmp_path / "search.json", "other data")
    assert other.once("a", lambda: 2) == 2
    assert other.time_budget.earlier == 0.0


def test_a_damaged_file_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "search.json").write_text('{"identity": "da')
    assert trial_log(tmp_path / "search.json").once("a", lambda: 3) == 3


def test_what_fails_is_not_written_down(tmp_path: Path) -> None:
    def fail() -> int:
        raise TrainingError("no")

    first = trial_log(tmp_path / "search.json")
    with pytest.raises(TrainingError):
        first.once("a", fail)
    assert trial_log(tmp_path / "search.json").once("a", lambda: 4) == 4


def test_without_a_file_it_remembers_while_it_lives() -> None:
    first = trial_log(None)
    assert [first.once("a", lambda: 1), first.once("a", lambda: 2)] == [1, 1]
