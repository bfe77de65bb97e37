"""Is `--budget` kept? Twenty fits with a search in 20, 30 or 60 s, each with an empty cache.

What is counted is what the record counts: from where data and backbone are there to the final model, with the frozen
pass, the probe, the search and the baseline from scratch.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import headstart
from benchmarks._data import data_folder, own_cache

IMAGES = ("data/img_ants_bees", "data/img_cats_dogs", "data/img_brain_mri")
TEXTS = ("data/text_sms_spam/all.csv", "data/text_sst2", "data/text_tweeteval/emotion", "data/text_tweeteval/irony")
BUDGETS = (20.0, 30.0, 60.0)
RUNS = 20
QUICK_RUNS = 3


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """Twenty runs; three of 20 s with `quick`, twice as many as usual with `full`."""
    cases = [(path, budget) for budget in BUDGETS for path in (*IMAGES, *TEXTS)]
    cases = cases[:: len(IMAGES)][:QUICK_RUNS] if quick else (cases * 2)[: 2 * RUNS if full else RUNS]
    details = [_one(path, budget, seed) for seed, (path, budget) in enumerate(cases)]
    return {"budget.over": max(one["over"] for one in details)}, {"runs": details}


def _one(path: str, budget: float, seed: int) -> dict[str, Any]:
    """A fit from an empty cache; 'over' is in percent of the budget, negative where time was left."""
    folder = data_folder()
    backbone = str(folder / "weights" / "mobilenetv2_100_imagenet") if path in IMAGES else "all-MiniLM-L6-v2"
    with own_cache(), tempfile.TemporaryDirectory() as out:
        found = headstart.fit(folder / path, out=Path(out) / "run", backbone=backbone, budget=budget, seed=seed)
        record, tuning = found.record, found.plan.tuning
    if record.budget is None:
        raise RuntimeError(f"the run on {path} has no budget in its record")
    return {
        "data": path,
        "budget": budget,
        "over": 100 * (record.budget.used / budget - 1),
        "used": record.budget.used,
        "times": record.times,
        "model": tuning,
        "candidates": [one.model_dump(mode="json", include={"name", "epochs", "fate"}) for one in record.candidates],
    }
