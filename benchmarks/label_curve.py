"""How often do the intervals of the label curve hold? The larger half of real labels is hidden and then looked up.

Of each data set so many labelled examples are visible, drawn by a seed. From them `fit`'s own label curve forecasts the
accuracy of the probe with twice the labels. The truth is measured on what was hidden: probes on the visible examples
and as many others, three draws of those, on all that is left. It has noise of its own, which counts against the curve.
A case is a set, a number of visible labels and a draw. Priors and spreads of the curve were chosen on other data
(Amazon reviews, SST-2, PACS, optdigits, the Adult table). The visible shares, and a draw of its own for each case, were
settled after first results of some of these sets (SMS spam, emotion, hate) had been seen; no method or number was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._data import data_folder
from benchmarks._drawn_pictures import drawn_pictures
from benchmarks.refit import context_of
from headstart.evidence.held_out_probe import probe_learner
from headstart.pipeline.context import FitContext
from headstart.pipeline.label_curve import label_curve

VISIBLE = (8, 4)
"""An eighth and a quarter of a set are seen by the curve."""

TRUTHS = 3
"""Draws of as many more labels, whose mean accuracy is the truth."""

MOST = 5000
"""Examples of a set at most."""

NAMES = ("sms_spam", "emotion", "hate", "irony", "offensive", "sentiment", "mnist", "brain_mri")


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """Eight sets, 7 draws (`quick`: two sets, 1 draw; `full`: 12 draws), two sets at a time."""
    draws = 1 if quick else 12 if full else 7
    names = NAMES[:2] if quick else NAMES
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        found = dict(zip(names, pool.map(partial(cases, draws=draws), names), strict=True))
    everything = [case for several in found.values() for case in several]
    covered = {name: 100 * _mean(several, "covered") for name, several in found.items()}
    share = 100 * _mean(everything, "covered")
    measured: dict[str, float | None] = {
        "label_curve.cases": float(len(everything)),
        "label_curve.covered": share,
        "label_curve.not_always": share,
        "label_curve.width": 100 * _mean(everything, "width"),
        "label_curve.worst_set": min(covered.values()),
    }
    keys = ("covered", "width", "value", "truth", "seconds")
    means = {
        name: {str(n): {key: round(_mean(_of(several, n), key), 4) for key in keys} for n in _sizes(several)}
        for name, several in found.items()
    }
    return measured, {"draws": draws, "covered": covered, "means": means, "cases": found}


def cases(name: str, draws: int) -> list[dict[str, float]]:
    """All cases of a set."""
    context = SETS[name]()
    sizes = [len(context.data.examples) // part for part in VISIBLE]
    return [_case(context, visible, draw) for draw in range(draws) for visible in sizes]


def _case(context: FitContext, visible: int, draw: int) -> dict[str, float]:
    """The forecast for twice the visible labels, and what is true."""
    data, draws = context.data, np.random.default_rng((draw, visible))
    order = draws.permutation(np.sort(np.concatenate(list(data.parts().values()))))
    split = replace(data.split, train=np.sort(order[:visible]), val=order[:0], test=order[visible:])
    plan = context.plan.model_copy(update={"seed": draw})
    started = time.process_time()
    found, _ = label_curve(replace(context, plan=plan, data=replace(data, split=split)))
    seconds = time.process_time() - started
    twice = next(point for point in found.expected if point.labels == 2 * visible)
    truth = float(np.mean([_accuracy(context, order, visible, draws) for _ in range(TRUTHS)]))
    return {
        "visible": visible,
        "value": twice.value,
        "low": twice.low,
        "high": twice.high,
        "truth": truth,
        "width": twice.high - twice.low,
        "seconds": seconds,
        "covered": float(twice.low <= truth <= twice.high),
    }


def _accuracy(context: FitContext, order: np.ndarray, visible: int, draws: np.random.Generator) -> float:
    """Accuracy of a probe on the visible labels and as many hidden ones, on the others."""
    data, hidden = context.data, draws.permutation(order[visible:])
    rows = np.arange(len(data.examples))
    learn = probe_learner(data.task, context.features.pooled(rows), data.targets, None, 0)
    learnt, tested = np.sort(np.concatenate([order[:visible], hidden[:visible]])), hidden[visible:]
    return data.task.evaluation.primary.score(data.targets_of(tested), learn(learnt, tested))


def _sizes(several: Sequence[Mapping[str, float]]) -> list[float]:
    return sorted({case["visible"] for case in several})


def _of(several: Sequence[Mapping[str, float]], visible: float) -> list[Mapping[str, float]]:
    return [case for case in several if case["visible"] == visible]


def _mean(several: Sequence[Mapping[str, float]], key: str) -> float:
    return float(np.mean([case[key] for case in several]))


def _texts(path: str) -> FitContext:
    files = sorted(Path(data_folder(), "data", path).glob("*.csv"))
    table = pd.concat([pd.read_csv(file)[["text", "label"]] for file in files], ignore_index=True)
    table = table.assign(label=[f"class {label}" for label in table["label"]]).sample(frac=1.0, random_state=0)[:MOST]
    columns = {"text": ("text",), "label": "label"}
    return context_of(table.reset_index(drop=True), backbone="all-MiniLM-L6-v2", columns=columns)


def _mnist() -> FitContext:
    table = drawn_pictures("mnist", MOST // 10, 0)
    return context_of(table[["input", "label"]], backbone="embedded", columns={"image": "input", "label": "label"})


def _brain_mri() -> FitContext:
    weights = str(data_folder() / "weights" / "mobilenetv2_100_imagenet")
    return context_of(str(data_folder() / "data" / "img_brain_mri" / "train"), backbone=weights)


SETS: Mapping[str, Callable[[], FitContext]] = {
    "sms_spam": partial(_texts, "text_sms_spam"),
    **{
        name: partial(_texts, f"text_tweeteval/{name}")
        for name in ("emotion", "hate", "irony", "offensive", "sentiment")
    },
    "mnist": _mnist,
    "brain_mri": _brain_mri,
}
