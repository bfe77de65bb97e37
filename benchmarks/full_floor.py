"""Is `--tuning full --budget` ever shipped below its floor? Twelve draws of real data, budgets of one to five minutes.

The floor is the frozen probe of all labels in the very run: what the run predicts with is held against it on the test
part by the paired interval. Where the run ships the probe they are one. What the fine-tuning by itself comes to is kept
in the details. Each fit is a process of its own; finished ones are kept until all are: an interrupted run goes on.
"""

from __future__ import annotations

from typing import Any

from benchmarks._cells import cell

CASES = (
    ("text_tweeteval/emotion", "25", "60"),
    ("text_tweeteval/emotion", "250", "60"),
    ("text_tweeteval/irony", "200", "60"),
    ("text_sst2", "100", "60"),
    ("text_sst2", "1000", "120"),
    ("text_sms_spam/all.csv", "50", "60"),
    ("img_ants_bees", "40", "60"),
    ("img_ants_bees", "110", "120"),
    ("img_cats_dogs", "60", "60"),
    ("img_brain_mri", "80", "60"),
    ("ner_wnut17", "400", "60"),
    ("ner_wnut17", "1000", "120"),
    ("text_sst2", "1000", "300"),
    ("img_brain_mri", "80", "180"),
)
"""Data; labelled examples per class, or sentences in all; seconds."""
QUICK_CASES = 2
FULL_SEEDS = 3


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """All cases, of which two have a second, longer budget (`quick`: two cases; `full`: three draws of each)."""
    cases = [(*case, str(seed)) for seed in range(FULL_SEEDS if full else 1) for case in CASES]
    names = cases[:QUICK_CASES] if quick else cases
    found = {"/".join(name): cell("full_floor", "benchmarks._full_floor_cell", name) for name in names}
    below = sum(one["shipped"]["verdict"] == "worse" for one in found.values())
    alone = sum(one["tuned"].get("verdict") == "worse" for one in found.values())
    return {"full_floor.below": below}, {"tuned_below": alone, "fits": found}
