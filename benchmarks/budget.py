"""Is `--budget` kept? Twenty fits with a search in 20, 30 or 60 s, each with an empty cache.

What is counted is what the record counts: from where data and backbone are there to the final model, with the frozen
pass, the probe, the search and the baseline from scratch. Each fit is a process of its own; finished ones are kept
until all are, so that an interrupted run goes on.
"""

from __future__ import annotations

from typing import Any

from benchmarks._cells import cell

IMAGES = ("data/img_ants_bees", "data/img_cats_dogs", "data/img_brain_mri")
TEXTS = ("data/text_sms_spam/all.csv", "data/text_sst2", "data/text_tweeteval/emotion", "data/text_tweeteval/irony")
BUDGETS = (20.0, 30.0, 60.0)
RUNS = 20
QUICK_RUNS = 3


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """Twenty runs; three of 20 s with `quick`, twice as many as usual with `full`."""
    cases = [(path, budget) for budget in BUDGETS for path in (*IMAGES, *TEXTS)]
    cases = cases[:: len(IMAGES)][:QUICK_RUNS] if quick else (cases * 2)[: 2 * RUNS if full else RUNS]
    names = [(path, str(budget), str(seed)) for seed, (path, budget) in enumerate(cases)]
    found = {"/".join(name): cell("budget", "benchmarks._budget_cell", name) for name in names}
    return {"budget.over": max(one["over"] for one in found.values())}, {"runs": found}
