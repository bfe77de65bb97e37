"""Is `--budget` kept? Twenty fits with a search in 20, 30 or 60 s, and some of a named tuning, each with no cache.

What is counted is what the budget is for: from where data and backbone are there to the final model, with the frozen
pass, the probe, the search and the baseline from scratch, by the record and by a clock around the whole call, whichever
says more. Each fit is a process of its own; finished ones are kept until all are, so that an interrupted run goes on.
"""

from __future__ import annotations

from typing import Any

from benchmarks._cells import cell

IMAGES = ("data/img_ants_bees", "data/img_cats_dogs", "data/img_brain_mri")
TEXTS = ("data/text_sms_spam/all.csv", "data/text_sst2", "data/text_tweeteval/emotion", "data/text_tweeteval/irony")
BUDGETS = (20.0, 30.0, 60.0)
RUNS = 20
QUICK_RUNS = 3

OTHERS = (
    ("full", IMAGES[0], 30.0),
    ("full", TEXTS[1], 30.0),
    ("full without scratch", IMAGES[1], 20.0),
    ("full without scratch", TEXTS[2], 20.0),
    ("search without scratch", IMAGES[2], 30.0),
    ("search without scratch", TEXTS[3], 20.0),
)
"""Beside the searches: kind, data, seconds."""


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """Twenty searches and the others; three of 20 s and one with `quick`, twice as many searches with `full`."""
    searches = [("search", path, budget) for budget in BUDGETS for path in (*IMAGES, *TEXTS)]
    searches = searches[:: len(IMAGES)][:QUICK_RUNS] if quick else (searches * 2)[: 2 * RUNS if full else RUNS]
    cases = [*searches, *(OTHERS[:1] if quick else OTHERS)]
    names = [(kind, path, str(budget), str(seed)) for seed, (kind, path, budget) in enumerate(cases)]
    found = {"/".join(name): cell("budget", "benchmarks._budget_cell", name) for name in names}
    return {"budget.over": max(one["over"] for one in found.values())}, {"runs": found}
