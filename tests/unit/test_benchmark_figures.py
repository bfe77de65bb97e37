"""What benchmarks of fine-tuning make of their cells: the cells here are made up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from benchmarks import _tuning_cell, budget, equal_time, fine_tuning_speed
from benchmarks._harness import asked_figures


def asked_of(benchmark: str) -> set[str]:
    return {figure.name for figure in asked_figures() if figure.benchmark == benchmark}


def tuned(benchmark: str, module: str, arguments: Sequence[str]) -> dict[str, Any]:
    case, data, candidate, _ = arguments
    if not candidate.startswith("ours"):
        return {"seconds": [90.0, 80.0 if data == "img_ants_bees" else 120.0], "right": "1100"}
    loop = {"loop": 12.0, "validation": 2.0, "forward": 3.0, "backward": 5.0, "optimiser": 1.0}
    if case == "full":
        loop["backward"] = 6.0
    last = 5.0 if candidate == "ours2" else 4.0
    own = {"seconds": [1.0, last], "whole": [2.0, 2 * last], "right": "1110", "loop": [loop, loop]}
    return own if candidate == "ours2" else {**own, "bound": 2.0}


def test_a_speed_is_the_faster_round_of_a_rival_over_the_median_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fine_tuning_speed, "cell", tuned)
    measured, details = fine_tuning_speed.run(quick=False, full=False)
    assert measured.keys() == asked_of("fine_tuning_speed")
    assert measured["fine_tuning_speed.head"] == 80.0 / 2.5
    assert measured["fine_tuning_speed.head.whole"] == 80.0 / 5.0
    assert measured["fine_tuning_speed.outside"] == 0.0
    assert measured["fine_tuning_speed.outside.partial"] == pytest.approx(10.0)
    assert measured["fine_tuning_speed.accuracy.difference"] == 25.0
    assert details["vit_small, img_cats_dogs"]["times_faster"]["plain"] == 90.0 / 2.5


def test_a_rival_is_timed_by_halves_of_its_epochs() -> None:
    assert _tuning_cell._by_rounds([3.0, 2.0, 1.0, 2.0]) == [10.0, 6.0]


def test_the_lead_over_a_rival_is_over_the_cells_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    accuracies = {"auto": 0.8, "sklearn_probe": 0.7, "trainer": 0.6, "trainer_all_time": 0.6, "fastai": 0.5}

    def made(benchmark: str, module: str, arguments: Sequence[str]) -> dict[str, Any]:
        return {"accuracy": {**accuracies, "setfit": 0.9}[arguments[0]], "right": "1" * 40}

    monkeypatch.setattr(equal_time, "cell", made)
    measured, details = equal_time.run(quick=False, full=False)
    assert measured.keys() == asked_of("equal_time")
    assert details["rank_leads"]["sklearn_probe"] == (1.0, 1.0, 1.0)
    assert measured["equal_time.rank_lead"] == measured["equal_time.rank_lead.low"] == -1.0  # behind SetFit, on texts


def test_the_overrun_of_a_budget_is_the_greatest_of_all_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: list[str] = []

    def made(benchmark: str, module: str, arguments: Sequence[str]) -> dict[str, Any]:
        kinds.append(arguments[0])
        return {"over": 3.0 if arguments[0] == "full" else -2.0}

    monkeypatch.setattr(budget, "cell", made)
    measured, details = budget.run(quick=False, full=False)
    assert measured == {"budget.over": 3.0}
    assert (kinds.count("search"), len(details["runs"])) == (20, 26)
