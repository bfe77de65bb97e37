"""Is a probe better for the validation labels? Solved on training and validation part, against the training part alone.

Of each class so many labels are drawn, by a seed, and split as a fit would split them; both heads see the same frozen
features, and the test part, which chooses nothing, is the same for all draws. Gains are differences on it in points,
paired by draw. `BANKING=FOLDER` in the environment puts a folder with train.csv and test.csv beside the data sets.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._data import data_folder
from benchmarks._drawn_pictures import drawn_pictures
from benchmarks._paired import interval_over_draws
from headstart.evidence.comparison import figures
from headstart.pipeline.arms import solve_arm
from headstart.pipeline.context import FitContext
from headstart.pipeline.data import Given
from headstart.pipeline.memory_fit import held_out
from headstart.pipeline.plan import Plan
from headstart.pipeline.sequence import start
from headstart.pipeline.trained import predict_rows

LABELS = (8, 16, 64, None)
"""Per class; None is all that are not for the test."""

METRICS = ("accuracy", "log_loss", "ece", "micro_f1", "macro_f1", "mean_average_precision")
MODES = {"training part": False, "both parts": True}


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """Four data sets, 10 draws (`quick`: one, 3 draws; `full`: 30)."""
    draws = 3 if quick else 30 if full else 10
    names = ["tweeteval_emotion"] if quick else [*SETS, *(["banking"] if os.environ.get("BANKING") else [])]
    details = {name: _one(SETS.get(name, _banking)(), draws) for name in names}
    single = [found for name, found in details.items() if name != "nlupp_banking"]
    measured: dict[str, float | None] = {}
    for labels in map(_named, LABELS):
        gains = np.mean([_gains(found[labels], "accuracy") for found in single], axis=0)
        measured[f"refit.{labels}"] = 100 * interval_over_draws(gains)[1]
    few = np.mean([_gains(found["labels_8"], "log_loss") for found in single], axis=0)
    measured["refit.log_loss"] = interval_over_draws(few)[2]
    if not quick:
        measured["refit.thresholds"] = (
            100 * interval_over_draws(_gains(details["nlupp_banking"]["labels_8"], "micro_f1"))[1]
        )
    return measured, {"draws": draws, "data": {name: _summed(found) for name, found in details.items()}}


def _one(context: FitContext, draws: int) -> dict[str, dict[str, list[dict[str, float]]]]:
    """Labels per class -> which rows the head was fit on -> for each draw its figures."""
    return {_named(labels): _drawn(context, labels, draws) for labels in LABELS}


def _drawn(context: FitContext, labels: int | None, draws: int) -> dict[str, list[dict[str, float]]]:
    found: dict[str, list[dict[str, float]]] = {mode: [] for mode in MODES}
    for draw in range(draws):
        drawn = with_rows(context, labels, draw)
        for mode, refit in MODES.items():
            found[mode].append(_figures(drawn, refit))
    return found


def with_rows(context: FitContext, labels: int | None, draw: int) -> FitContext:
    """Rows are drawn by what is kept in proportion: the class, or the rarest label of an example."""
    data, split = context.data, context.data.split
    draws = np.random.default_rng(draw)
    pool = draws.permutation(np.union1d(split.train, split.val))
    strata = data.strata[pool]
    rows = np.sort(np.concatenate([pool[strata == one][:labels] for one in np.unique(strata)]))
    parts = held_out(data.strata[rows], [data.keys[row] for row in rows], draw)
    split = replace(split, train=rows[parts.train], val=rows[parts.val])
    plan = context.plan.model_copy(update={"seed": draw})
    return replace(context, plan=plan, data=replace(data, split=split))


def _figures(context: FitContext, refit: bool) -> dict[str, float]:
    data, rows = context.data, context.data.split.test
    predicted = predict_rows(context, solve_arm(context, "model", refit=refit), rows)
    found = figures(data.task.evaluation.metrics, data.targets_of(rows), predicted, seed=0)
    return {name: float(found[name].value) for name in METRICS if name in found}


def _gains(found: Mapping[str, list[dict[str, float]]], metric: str) -> np.ndarray:
    """(draws,): both parts minus the training part."""
    one, other = (np.array([figure[metric] for figure in found[mode]]) for mode in ("both parts", "training part"))
    return one - other


def _summed(found: dict[str, dict[str, list[dict[str, float]]]]) -> dict[str, Any]:
    """Labels per class -> metric -> the means, and the gain with its 95 % interval over draws."""
    return {
        labels: {
            metric: {
                **{mode: round(float(np.mean([one[metric] for one in drawn])), 4) for mode, drawn in modes.items()},
                "gain": [round(value, 4) for value in interval_over_draws(_gains(modes, metric))],
            }
            for metric in modes["both parts"][0]
        }
        for labels, modes in found.items()
    }


def _named(labels: int | None) -> str:
    return "labels_all" if labels is None else f"labels_{labels}"


def context_of(data: Any, **plan: Any) -> FitContext:
    return start(Given(data), Plan(data=data if isinstance(data, str) else "<made>", **plan)).embedded()


def texts(path: str, **plan: Any) -> Callable[[], FitContext]:
    return lambda: context_of(str(data_folder() / path), backbone="all-MiniLM-L6-v2", **plan)


def _nlupp() -> FitContext:
    frame = pd.read_csv(data_folder() / "data" / "text_nlupp_multilabel" / "nlupp.csv")
    frame = frame[frame["domain"] == "banking"][["text", "intents"]]
    columns = {"text": ("text",), "label": "intents"}
    return context_of(frame, backbone="all-MiniLM-L6-v2", task="multilabel", columns=columns)


def _banking() -> FitContext:
    folder = os.environ["BANKING"]
    parts = {part: pd.read_csv(os.path.join(folder, f"{part}.csv")).assign(part=part) for part in ("train", "test")}
    columns = {"text": ("text",), "label": "category", "part": "part"}
    return context_of(pd.concat(parts.values(), ignore_index=True), backbone="all-MiniLM-L6-v2", columns=columns)


def digits() -> FitContext:
    weights = str(data_folder() / "weights" / "mobilenetv2_100_imagenet")
    return context_of(
        drawn_pictures("mnist", 400, 0), backbone=weights, columns={"image": "input", "label": "label", "part": "part"}
    )


SETS: Mapping[str, Callable[[], FitContext]] = {
    "tweeteval_emotion": texts("data/text_tweeteval/emotion"),
    "text_sst2": texts("data/text_sst2"),
    "mnist": digits,
    "nlupp_banking": _nlupp,
}
