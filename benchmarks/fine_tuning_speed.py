"""Ten epochs of fine-tuning at 224 px, against a plain PyTorch loop, transformers' Trainer and fastai.

All train the same stages of the same network on the same files, with the same rates, batches and epochs, and validate
after each. A cell is a way on a case and a data set, in a process of its own; finished ones are kept until all are, so
that an interrupted run goes on. Headstart is measured before and after its rivals, two fits each (eight of the head
alone, which takes little more than a second), and the median taken;
of a rival's training the faster half counts twice. Beside the time of pass and training stands that of the whole call,
from the list of pictures to the report. The bound on the speed is the rival's time over one frozen pass and the epochs
of what moves, its pieces timed alone. Where weights are real, pictures that nobody chose anything by judge the models;
of random ones no accuracy is to be had. What a loop spends outside of its three parts is asked where stages move: the
whole training of a head on kept features takes some tenths of a second.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks._cells import cell
from benchmarks._paired import paired_interval
from benchmarks._tuning_cases import CASES, DATA

BEFORE, AFTER = "ours1", "ours2"
SPEEDS = ("head", "resnet18", "vit_small")
REAL = ("head", "mobilenetv2")
PARTIAL = ("mobilenetv2", "resnet18", "vit_small")

Pair = tuple[str, str]
"""Case and data."""

Cells = Mapping[tuple[str, str, str], Mapping[str, Any]]
"""By case, data and way."""


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:  # noqa: ARG001
    """Both data sets; `quick`: two epochs of a few pictures of one, which says nothing of the figures."""
    data = DATA[:1] if quick else DATA
    cells = {key: _cell(*key, quick=quick) for key in _grid(data)}
    pairs = [(case, name) for case in CASES for name in data]
    speeds = {pair: _times_faster(cells, *pair, "seconds") for pair in pairs}
    wholes = {pair: _times_faster(cells, *pair, "whole") for pair in pairs}
    bounds = {pair: _share_of_bound(cells, *pair) for pair in pairs}
    outside = {pair: _outside(cells, *pair) for pair in pairs}
    ahead = {(case, name): _ahead(cells, case, name) for case in REAL for name in data}
    differences = [found for of in ahead.values() for found in of.values()]
    measured: dict[str, float | None] = {
        **{f"fine_tuning_speed.{case}": speed for case, speed in _least(speeds).items()},
        **{f"fine_tuning_speed.{case}.whole": speed for case, speed in _least(wholes).items()},
        "fine_tuning_speed.full": min(speeds["full", name]["plain"] for name in data),
        "fine_tuning_speed.full.same_precision": min(speeds["full", name]["plain_bfloat16"] for name in data),
        "fine_tuning_speed.share_of_bound": 100 * min(bounds[case, name] for case, name in pairs if case != "full"),
        "fine_tuning_speed.outside": 100 * max(outside["full", name] for name in data),
        "fine_tuning_speed.outside.partial": 100 * max(outside[case, name] for case in PARTIAL for name in data),
        "fine_tuning_speed.accuracy": 100 * min(high for _, _, high in differences),
        "fine_tuning_speed.accuracy.difference": 100 * min(mean for mean, _, _ in differences),
    }
    details = {
        f"{case}, {name}": {
            "times_faster": speeds[case, name],
            "times_faster_whole": wholes[case, name],
            "share_of_bound": bounds[case, name],
            "outside": outside[case, name],
            "accuracy_ahead": ahead.get((case, name), {}),
            **{candidate: _brief(cells[key]) for key in cells if key[:2] == (case, name) for candidate in key[2:]},
        }
        for case, name in pairs
    }
    return measured, details


def _least(speeds: Mapping[Pair, Mapping[str, float]]) -> dict[str, float]:
    """The least over data sets and rivals, by case."""
    return {case: min(min(of.values()) for pair, of in speeds.items() if pair[0] == case) for case in SPEEDS}


def _grid(data: Sequence[str]) -> list[tuple[str, str, str]]:
    return [
        (name, one, candidate) for one in data for name in CASES for candidate in (BEFORE, *CASES[name].rivals, AFTER)
    ]


def _cell(case: str, data: str, candidate: str, *, quick: bool) -> dict[str, Any]:
    return cell("fine_tuning_speed", "benchmarks._tuning_cell", (case, data, candidate, "quick" if quick else "normal"))


def _own(cells: Cells, case: str, data: str, counted: str) -> float:
    """Headstart's seconds: of pass and training ('seconds') or of everything ('whole')."""
    return statistics.median([*cells[case, data, BEFORE][counted], *cells[case, data, AFTER][counted]])


def _times_faster(cells: Cells, case: str, data: str, counted: str) -> dict[str, float]:
    """Than each rival."""
    own = _own(cells, case, data, counted)
    return {candidate: min(cells[case, data, candidate]["seconds"]) / own for candidate in CASES[case].rivals}


def _share_of_bound(cells: Cells, case: str, data: str) -> float:
    return float(cells[case, data, BEFORE]["bound"] / _own(cells, case, data, "seconds"))


def _outside(cells: Cells, case: str, data: str) -> float:
    """The share of the loop, validation apart, that is neither forward nor backward nor optimiser: a median of fits."""
    loops = [*cells[case, data, BEFORE]["loop"], *cells[case, data, AFTER]["loop"]]
    parts = [sum(loop[part] for part in ("forward", "backward", "optimiser")) for loop in loops]
    return statistics.median(1 - inside / (loop["loop"] - loop["validation"]) for inside, loop in zip(parts, loops))


def _ahead(cells: Cells, case: str, data: str) -> dict[str, tuple[float, float, float]]:
    """Difference in accuracy to each rival on the judged pictures, with its paired 95 % interval."""
    own = cells[case, data, BEFORE]["right"]
    return {candidate: paired_interval(own, cells[case, data, candidate]["right"]) for candidate in CASES[case].rivals}


def _brief(found: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key != "right"}
