from __future__ import annotations

import pytest

from headstart.search.cost import Cost
from headstart.search.halving import Contender, Rung, affordable, rungs, schedule, worst_case

ONE_SECOND = Cost(step=1.0, steps=1, validation=0.0)


def contenders(*costs: Cost, epochs: int = 8, fixed: bool = False) -> list[Contender]:
    return [Contender(f"c{k}", cost, epochs, fixed) for k, cost in enumerate(costs)]


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        (1, [Rung(1.0, 1)]),
        (2, [Rung(0.5, 2), Rung(1.0, 1)]),
        (3, [Rung(0.25, 3), Rung(0.5, 2), Rung(1.0, 1)]),
        (8, [Rung(0.125, 8), Rung(0.25, 4), Rung(0.5, 2), Rung(1.0, 1)]),
    ],
)
def test_rungs_halve_the_candidates_and_double_the_epochs(candidates: int, expected: list[Rung]) -> None:
    assert list(rungs(candidates)) == expected


def test_the_worst_case_is_that_of_the_longhand_schedule() -> None:
    slow, quick = Cost(3.0, 1, 0.0, start=1.0), Cost(1.0, 1, 0.0, start=1.0)
    four = contenders(quick, slow, quick, slow)
    # until epoch 2 all four; until 4 the two slow ones; until 8 one slow one; one start each time
    longhand = (1 + 2 * 1) * 2 + (1 + 2 * 3) * 2 + (1 + 2 * 3) * 2 + (1 + 4 * 3)
    assert worst_case(four, {one.name: 8 for one in four}) == longhand


def test_everyone_has_all_epochs_where_there_is_time() -> None:
    found = schedule(contenders(ONE_SECOND, ONE_SECOND), 100.0)
    assert found == {"c0": 8, "c1": 8}


def test_epochs_are_cut_before_candidates_are_and_never_below_a_half() -> None:
    found = schedule(contenders(ONE_SECOND, ONE_SECOND), 9.0)
    assert found == {"c0": 6, "c1": 6}
    fewer = schedule(contenders(ONE_SECOND, ONE_SECOND), 5.0)
    assert fewer == {"c0": 5}


def test_the_last_candidates_are_left_out_first() -> None:
    found = schedule(contenders(ONE_SECOND, ONE_SECOND, ONE_SECOND, ONE_SECOND), 6.5)
    assert list(found) == ["c0", "c1"]


def test_the_last_one_may_have_a_single_epoch_and_no_less() -> None:
    found = schedule(contenders(ONE_SECOND), 1.5)
    assert found == {"c0": 1}
    assert schedule(contenders(ONE_SECOND), 0.5) == {}
    assert schedule([], 100.0) == {}


def test_epochs_that_the_user_gave_are_never_cut() -> None:
    assert schedule(contenders(ONE_SECOND, fixed=True), 7.0) == {}
    found = schedule(contenders(ONE_SECOND, fixed=True), 8.0)
    assert found == {"c0": 8}


@pytest.mark.parametrize("seconds", [3.0, 7.5, 20.0, 61.0])
def test_a_schedule_fits_into_its_time(seconds: float) -> None:
    mixed = contenders(Cost(0.3, 4, 0.2, 0.5), Cost(0.1, 4, 0.2, 0.1), Cost(1.0, 4, 0.2, 0.5))
    found = schedule(mixed, seconds)
    chosen = [one for one in mixed if one.name in found]
    assert worst_case(chosen, found) <= seconds and chosen


def test_as_many_go_on_as_leave_time_to_finish_one() -> None:
    costs = [(2.0, 4.0), (2.0, 6.0), (2.0, 1.0)]
    assert affordable(costs, 12.0) == 3
    assert affordable(costs, 11.0) == 2
    assert affordable(costs, 5.0) == 1
