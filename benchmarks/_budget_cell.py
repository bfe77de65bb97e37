"""One fit under a budget, from an empty cache, in a process of its own.

python -m benchmarks._budget_cell KIND DATA SECONDS SEED
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import headstart
from benchmarks._data import data_folder, own_cache
from benchmarks._unfolded import FOLDED
from headstart.verbs import fit as fit_verb

KINDS: Mapping[str, Mapping[str, Any]] = {
    "search": {},
    "search without scratch": {"scratch": False},
    "full": {"tuning": "full"},
    "full without scratch": {"tuning": "full", "scratch": False},
}
"""What the fit is asked for beside its budget."""

FREE = (
    "reading and splitting the data",
    "loading the backbone",
    "the classical baselines",
    "judging on the test part",
    "saving the model",
)
"""Steps that no budget is for."""


def one(kind: str, path: str, budget: float, seed: int) -> dict[str, Any]:
    """What was used and what came of it; 'over' is in percent of the budget, negative where time was left.

    What counts is the larger of the record's own word and of the whole call as it is seen from here, without the steps
    that no budget is for and without the report.
    """
    folder = data_folder()
    backbone = str(folder / FOLDED) if "/img_" in path else "all-MiniLM-L6-v2"
    with own_cache(), tempfile.TemporaryDirectory() as out, _timed_report() as reporting:
        began = time.perf_counter()
        found = headstart.fit(
            folder / path, out=Path(out) / "run", backbone=backbone, budget=budget, seed=seed, **KINDS[kind]
        )
        whole = time.perf_counter() - began
        record, tuning = found.record, found.plan.tuning
    if record.budget is None:
        raise RuntimeError(f"the run on {path} has no budget in its record")
    seen = whole - sum(record.times[step] for step in FREE) - sum(reporting)
    return {
        "over": 100 * (max(record.budget.used, seen) / budget - 1),
        "used": record.budget.used,
        "seen_from_outside": round(seen, 3),
        "whole": round(whole, 3),
        "times": record.times,
        "model": tuning,
        "candidates": [one.model_dump(mode="json", include={"name", "epochs", "fate"}) for one in record.candidates],
    }


@contextlib.contextmanager
def _timed_report() -> Iterator[list[float]]:
    """Within it a list fills with the seconds that reports take."""
    seconds: list[float] = []
    write: Callable[..., Any] = fit_verb.report

    def timed(*given: Any) -> Any:
        began = time.perf_counter()
        try:
            return write(*given)
        finally:
            seconds.append(time.perf_counter() - began)

    with patch.object(fit_verb, "report", timed):
        yield seconds


if __name__ == "__main__":
    what, source, seconds, number = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):
        answer = one(what, source, float(seconds), int(number))
    print(json.dumps(answer))
