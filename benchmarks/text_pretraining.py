"""Does learning from reviews without labels help a text encoder that has seen a billion pairs of sentences?

MiniLM goes on learning on 18,000 Amazon reviews, by masked tokens and by SimCSE, and Headstart's own report says by 500
labels whether that was worth it. Then 50 and 500 of the reviews get labels, in several draws: a probe on the frozen
encoder and full fine-tuning, from MiniLM as it was and from what it became; two at a time, with a core each. The same
1000 other reviews test them all. Differences are paired by draw; their 95 % intervals are Student's over the draws.
Finished cells are kept in `results/cells/text_pretraining.json`, and a pretrained encoder in the folder of temporary
files, so that an interrupted run goes on.
"""

from __future__ import annotations

import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

import headstart
from benchmarks._cells import cells
from benchmarks._paired import interval_over_draws
from benchmarks._reviews import few_reviews, reviews
from benchmarks._text_pretraining_cell import ENCODER, LENGTH
from headstart.pipeline.run_folder import PretrainedRun

OBJECTIVES, COUNTS, WAYS = ("masked_tokens", "simcse"), (50, 500), ("probe", "fine_tuned")


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """At most 10 minutes for each objective, 5 draws, 1500 texts seen; `full`: 60, 10, 5000; `quick`: 1, 2, 500."""
    minutes, draws, seen = (1.0, 2, 500) if quick else (60.0, 10, 5000) if full else (10.0, 5, 1500)
    learnt = {objective: _pretrained(objective, 60 * minutes) for objective in OBJECTIVES}
    before = {count: _accuracies(ENCODER, count, draws, seen) for count in COUNTS}
    after = {
        case: _accuracies(str(learnt[case[0]].folder), case[1], draws, seen) for case in product(OBJECTIVES, COUNTS)
    }
    rows = [_row(*case, before[case[1]], after[case[:2]]) for case in product(OBJECTIVES, COUNTS, WAYS)]
    helps = {row["objective"] for row in rows if (row["labels"], row["way"], row["verdict"]) == (500, "probe", "helps")}
    praised = {objective for objective, one in learnt.items() if _says(one) == "better"}
    measured: dict[str, float | None] = {
        "text_pretraining.compared": float(len(rows)),
        "text_pretraining.wrongly_praised": float(len(praised - helps)),
    }
    said = {objective: one.verdict for objective, one in learnt.items()}
    return measured, {"minutes": minutes, "draws": draws, "seen": seen, "cases": rows, "said": said}


def _pretrained(objective: str, seconds: float) -> PretrainedRun:
    """The encoder after it has learnt from the reviews, judged by a sample of 500 labels."""
    folder = Path(tempfile.gettempdir(), f"headstart-{objective}-{seconds:g}")
    if (folder / "record.json").exists():
        return PretrainedRun(folder)
    pool, _ = reviews()
    with tempfile.TemporaryDirectory() as beside:
        sample = Path(beside, "sample.csv")
        few_reviews(500, 0).to_csv(sample, index=False)
        return headstart.pretrain(
            pool[["text"]],
            text="text",
            label="label",
            backbone=ENCODER,
            objective=objective,
            labelled=sample,
            budget=seconds,
            out=folder,
            settings={"backbone": LENGTH},
        )


def _says(run: PretrainedRun) -> str:
    """The verdict of the run's own comparison with its start."""
    gain = run.record.gain
    if gain is None:
        raise SystemExit(f"{run.folder} was not judged by a labelled sample")
    return next(found.verdict for found in gain.comparisons if found.against == "start")


def _accuracies(backbone: str, count: int, draws: int, seen: int) -> dict[str, np.ndarray]:
    """(draws,) of each way."""
    names = [[backbone, str(count), str(draw), str(seen)] for draw in range(draws)]
    found = cells("text_pretraining", "benchmarks._text_pretraining_cell", names)
    return {candidate: 100 * np.array([one[candidate] for one in found]) for candidate in WAYS}


def _row(
    objective: str, count: int, candidate: str, before: dict[str, np.ndarray], after: dict[str, np.ndarray]
) -> dict[str, Any]:
    gain, low, high = interval_over_draws(after[candidate] - before[candidate])
    return {
        "objective": objective,
        "labels": count,
        "way": candidate,
        "before": round(float(before[candidate].mean()), 2),
        "after": round(float(after[candidate].mean()), 2),
        "gain": [round(value, 2) for value in (gain, low, high)],
        "verdict": "helps" if low > 0 else "hurts" if high < 0 else "not significant",
    }
