"""Named entities of WNUT-17 with MiniLM: full tuning within ten minutes, its own probe, and the run_ner recipe.

All see the same training part and the same encoder. The recipe runs as it stands and, where that took less time than
ours, once more for as many epochs as fit into ours; of the two the one counts that is better on the validation part.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks._cells import cell

SEEDS = (0, 1, 2)
EPOCHS = 3
"""The recipe's own."""


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:  # noqa: ARG001
    """Three seeds; one with `quick`."""
    details = [_one(seed) for seed in SEEDS[: 1 if quick else None]]
    measured: dict[str, float | None] = {
        "tagging.wnut17.f1": _mean(details, "f1"),
        "tagging.wnut17.minutes": max(one["seconds"] for one in details) / 60,
        "tagging.wnut17.above_probe": min(one["above_probe"]["low"] for one in details),
        "tagging.wnut17.above_run_ner": _mean(details, "f1") - _mean(details, "run_ner_f1"),
    }
    return measured, {"seeds": details}


def _one(seed: int) -> dict[str, Any]:
    ours = _cell("ours", seed)
    theirs = [_cell("run_ner", EPOCHS, seed)]
    more = int(EPOCHS * ours["seconds"] / theirs[0]["seconds"])
    if more > EPOCHS:
        theirs.append(_cell("run_ner", more, seed))
    best = max(theirs, key=lambda one: one["val_f1"])
    return {"seed": seed, **ours, "run_ner_f1": best["f1"], "run_ner": theirs}


def _cell(*arguments: str | int) -> dict[str, Any]:
    return cell("tagging", "benchmarks._tagging_cell", [str(argument) for argument in arguments])


def _mean(details: list[dict[str, Any]], name: str) -> float:
    return float(np.mean([one[name] for one in details]))
