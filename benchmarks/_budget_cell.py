"""One fit with a search under a budget, from an empty cache, in a process of its own.

python -m benchmarks._budget_cell DATA SECONDS SEED
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import headstart
from benchmarks._data import data_folder, own_cache
from benchmarks._unfolded import FOLDED


def one(path: str, budget: float, seed: int) -> dict[str, Any]:
    """What was used and what came of it; 'over' is in percent of the budget, negative where time was left."""
    folder = data_folder()
    backbone = str(folder / FOLDED) if "/img_" in path else "all-MiniLM-L6-v2"
    with own_cache(), tempfile.TemporaryDirectory() as out:
        found = headstart.fit(folder / path, out=Path(out) / "run", backbone=backbone, budget=budget, seed=seed)
        record, tuning = found.record, found.plan.tuning
    if record.budget is None:
        raise RuntimeError(f"the run on {path} has no budget in its record")
    return {
        "over": 100 * (record.budget.used / budget - 1),
        "used": record.budget.used,
        "times": record.times,
        "model": tuning,
        "candidates": [one.model_dump(mode="json", include={"name", "epochs", "fate"}) for one in record.candidates],
    }


if __name__ == "__main__":
    source, seconds, number = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):
        answer = one(source, float(seconds), int(number))
    print(json.dumps(answer))
