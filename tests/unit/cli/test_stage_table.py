"""The printed table of what was frozen and what was trained."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from headstart.cli.record_tables import stage_table
from headstart.pipeline.record import StageRow


def row(name: str, trained: int = 0, rate: float = 0.0, start: float = 0.0) -> StageRow:
    state = "trained" if trained else "frozen"
    return StageRow(name=name, parameters=1000, state=state, learning_rate=rate, trained=trained, start=start)


def cells(*stages: StageRow, head: StageRow | None = None) -> list[tuple[Any, ...]]:
    table = stage_table(SimpleNamespace(stages=stages, head=head))  # type: ignore[arg-type]
    return list(zip(*(column.cells for column in table.columns)))


def test_stages_alike_stand_in_one_row() -> None:
    found = cells(row("stem"), row("blocks.0"), row("blocks.1", 1000, 1e-4), head=row("head", 1000, 1e-3))
    assert found == [
        ("stem to blocks.0", "2,000", "0", "frozen", ""),
        ("blocks.1", "1,000", "1,000", "0.0001", ""),
        ("task head", "1,000", "1,000", "0.001", ""),
    ]


def test_the_task_head_stands_apart_from_a_stage_of_that_name_and_rate() -> None:
    found = cells(row("stem", 1000, 1e-3), row("head", 1000, 1e-3), head=row("head", 10, 1e-3))
    assert [cell[0] for cell in found] == ["stem to head", "task head"]


def test_a_stage_that_begins_later_says_when() -> None:
    assert cells(row("stem", 16, 1e-4, 0.5))[0] == ("stem", "1,000", "16", "0.0001", "from 50 % of the training on")


def test_a_head_without_a_rate_was_solved_for() -> None:
    assert cells(head=row("head", 1000))[0][3] == "solved"
