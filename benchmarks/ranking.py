"""Does the ranking of pretrained models find the one that is best when it is fine-tuned?

Eleven meaningful checkpoints of pictures (real ones, the embedded one, own runs of several epochs and widths) on eight
cases of a data set and so many labels per class, two with random weights apart; five of texts on four cases. The scores
see the labelled part alone. The truth of a checkpoint is its test accuracy after `partial` fine-tuning, whose last
quarter of stages moves, at 128 pixels (the CIFAR ResNets: at 32, which they are made for): a full one would take hours.
Regret is what the top pick is below the best. Picks are those of the rule of `select`, the largest of those whose
cross-validated probe is not significantly below the best one; of each score alone; and of the size prior. Nothing is
chosen by the test parts, but the rule took the place of the highest probe after the first figures of these cases had
been seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import weightedtau

from benchmarks._cells import cells
from benchmarks._ranking_cell import CHECKPOINTS, RANDOM, TEXTS
from headstart.contracts.prediction import Prediction
from headstart.evidence.comparison import compare
from headstart.evidence.ranking import leaders_first
from headstart.tasks.classification.metrics import classification_metrics

CASES = (
    "img_ants_bees/15",
    "img_ants_bees/60",
    "img_cats_dogs/15",
    "img_cats_dogs/60",
    "img_brain_mri/20",
    "da_pacs_photo/8",
    "da_pacs_art/15",
    "mnist/8",
)
TEXT_CASES = (
    "text_sms_spam/all.csv/8",
    "text_sst2/60",
    "text_tweeteval/emotion/20",
    "text_tweeteval/irony/60",
)
STEPS = 60
"""Of a fine-tuning, in whole epochs."""
RULE = "select"


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:  # noqa: ARG001
    """Eight cases of pictures, four of texts (`quick`: one of pictures, fewer checkpoints and steps)."""
    steps = 4 if quick else STEPS
    groups: dict[tuple[str, ...], list[str]] = {CASES: [*CHECKPOINTS], TEXT_CASES: [*TEXTS]}
    if quick:
        groups = {CASES[:1]: ["mobilenetv2_100_imagenet", "embedded"]}
    asked = [[name, str(steps), *cases] for cases, names in groups.items() for name in names]
    if not quick:
        asked += [[name, str(steps), *CASES] for name in RANDOM]
    found = {name: cell for (name, *_), cell in zip(asked, cells("ranking", "benchmarks._ranking_cell", asked))}
    each = {
        case: _case({name: found[name][case] for name in names}) for cases, names in groups.items() for case in cases
    }
    methods = {
        method: {key: float(np.mean([one[method][key] for one in each.values()])) for key in ("regret", "tau")}
        for method in next(iter(each.values()))
    }
    ours = methods[RULE]["regret"]
    measured: dict[str, float | None] = {
        "ranking.regret": ours,
        "ranking.beside_others": max(ours - one["regret"] for one in methods.values()),
    }
    return measured, {
        "methods": methods,
        "cases": each,
        "cells": {name: {case: _shown(found[name][case]) for case in cases} for name, _, *cases in asked},
    }


def _case(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Method -> its regret in points and the weighted Kendall tau of its order with the truth."""
    names = list(rows)
    truth = np.array([rows[name]["tuned"] for name in names])
    methods = {
        method: np.array([rows[name]["scores"][method] for name in names]) for method in rows[names[0]]["scores"]
    }
    methods[RULE] = _by_rule(methods["probe"], methods["size"], [rows[name] for name in names])
    return {
        method: {
            "regret": 100 * float(truth.max() - truth[int(np.argmax(values))]),
            "tau": float(np.nan_to_num(weightedtau(truth, values).statistic)),
        }
        for method, values in methods.items()
    }


def _shown(cell: dict[str, Any]) -> dict[str, Any]:
    return {key: cell[key] for key in ("scores", "tuned")}


def _by_rule(probe: np.ndarray, size: np.ndarray, rows: Sequence[dict[str, Any]]) -> np.ndarray:
    """Numbers that rise as `select` ranks."""
    labels = np.array(rows[0]["labels"])
    classes = int(labels.max()) + 1
    given = [Prediction({"probabilities": np.eye(classes)[row["predicted"]]}) for row in rows]
    (accuracy, *_), best = classification_metrics(), given[int(probe.argmax())]
    level = [compare(accuracy, {"label": labels}, one, best, seed=0).verdict != "worse" for one in given]
    order = leaders_first((-probe).tolist(), level, size.tolist())
    return -np.argsort(order).astype(float)
