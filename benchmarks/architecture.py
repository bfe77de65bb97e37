"""What edits cost and heads bring: one input channel in place of three equal ones, and each kind of head.

One channel: probes on the ImageNet MobileNetV2 read pictures of brains in grey through three channels or through one,
whose weights are adapted; the difference is paired by picture, cross-validated on the training part and on the test
part. The first layer is timed with both, in turn, on batches of 32 pictures of 224 pixels, as medians.

Heads: each kind is trained on the same kept features as the probe is solved on, with the settings that a fit has; the
test parts choose nothing. Differences to the probe are paired by example.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks._data import data_folder
from benchmarks._drawn_pictures import drawn_pictures
from benchmarks._paired import mean_interval
from benchmarks.refit import context_of
from headstart.evidence.comparison import figures
from headstart.evidence.folds import folds
from headstart.evidence.held_out_probe import quick_prediction
from headstart.pipeline.arms import solve_arm, train_arm, usual_head
from headstart.pipeline.context import FitContext
from headstart.pipeline.defaults_by_size import with_enough_epochs
from headstart.pipeline.trained import predict_rows

WEIGHTS = "weights/mobilenetv2_100_imagenet"
KINDS = ("mlp", "cosine", "prototype", "stages")
PER_CLASS, FEW = 900, 40
"""Pictures of brains for each class, which are all; and in the quick form."""

BATCH, SIDE, TIMES = 32, 224, 30


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:  # noqa: ARG001
    """All pictures and four data sets (`quick`: 40 pictures a class, one data set)."""
    per_class = FEW if quick else PER_CLASS
    grey = {channels: _brains(per_class, channels) for channels in (3, 1)}
    held_out, tested = (_lost(grey, how) for how in (_cross_validated, _tested))
    saved = _time_saved(grey)
    sets = {"img_brain_mri": lambda more: _brains(per_class, 3, more)} if quick else SETS
    heads = {name: _heads(make) for name, make in sets.items()}
    measured: dict[str, float | None] = {
        "architecture.grey.lost": 100 * held_out[0],
        "architecture.grey.lost_on_test": 100 * tested[0],
        "architecture.grey.first_layer": saved["percent"],
    }
    for kind in KINDS:
        measured[f"architecture.head.{kind}"] = float(
            np.mean([100 * one[kind]["accuracy"][0] for one in heads.values()])
        )
    detail = {"lost_cross_validated": held_out, "lost_on_test": tested, "first_layer": saved, "heads": heads}
    return measured, detail


def _brains(per_class: int, channels: int, more: Mapping[str, Any] | None = None) -> FitContext:
    return _pictures("img_brain_mri", per_class, {"channels": channels, **(more or {})})


def _pictures(name: str, per_class: int, backbone: Mapping[str, Any]) -> FitContext:
    columns = {"image": "input", "label": "label", "part": "part"}
    settings = {"backbone": dict(backbone)} if backbone else {}
    frame = drawn_pictures(name, per_class, 0)
    return context_of(frame, backbone=str(data_folder() / WEIGHTS), columns=columns, settings=settings)


def _texts(backbone: Mapping[str, Any]) -> FitContext:
    settings = {"backbone": dict(backbone)} if backbone else {}
    return context_of(
        str(data_folder() / "data/text_tweeteval/emotion"), backbone="all-MiniLM-L6-v2", settings=settings
    )


SETS: Mapping[str, Callable[[Mapping[str, Any]], FitContext]] = {
    "img_brain_mri": lambda more: _brains(PER_CLASS, 3, more),
    "img_cats_dogs": lambda more: _pictures("img_cats_dogs", 500, more),
    "img_ants_bees": lambda more: _pictures("img_ants_bees", 500, more),
    "tweeteval_emotion": _texts,
}


def _lost(contexts: Mapping[int, FitContext], right: Callable[[FitContext], np.ndarray]) -> list[float]:
    """Share of examples, low and high end of its interval, that three channels get right more than one."""
    three, one = right(contexts[3]), right(contexts[1])
    return [round(value, 4) for value in mean_interval((three.astype(int) - one.astype(int)).tolist())]


def _cross_validated(context: FitContext) -> np.ndarray:
    """(training examples,) whether the probe of the other folds is right."""
    data = context.data
    rows = np.concatenate([data.split.train, data.split.val])
    targets = data.targets_of(rows)
    cut = folds(np.arange(len(rows)), data.strata[rows], None, 5, 0)
    found = quick_prediction(data.task, context.features.pooled(rows), targets, cut, None, 0)
    return np.asarray(found.columns["probabilities"].argmax(axis=1) == targets["label"])


def _tested(context: FitContext) -> np.ndarray:
    return _right(context, solve_arm(context, "probe", refit=True))


def _right(context: FitContext, arm: Any) -> np.ndarray:
    rows = context.data.split.test
    found = predict_rows(context, arm, rows).columns["probabilities"].argmax(axis=1)
    return np.asarray(found == context.data.targets_of(rows)["label"])


def _time_saved(contexts: Mapping[int, FitContext]) -> dict[str, float]:
    """Milliseconds of the first layer with three channels and with one, and the part saved in percent."""
    first: dict[int, nn.Module] = {k: context.backbone.module.conv_stem for k, context in contexts.items()}  # type: ignore[misc]
    pixels = {k: torch.randn(BATCH, k, SIDE, SIDE) for k in first}
    seconds: dict[int, list[float]] = {k: [] for k in first}
    with torch.inference_mode():
        for turn in range(TIMES + 3):
            for k, layer in first.items():
                began = time.perf_counter()
                layer(pixels[k])
                if turn >= 3:
                    seconds[k].append(time.perf_counter() - began)
    three, one = (1000 * float(np.median(seconds[k])) for k in (3, 1))
    return {"three_channels_ms": round(three, 2), "one_channel_ms": round(one, 2), "percent": 100 * (1 - one / three)}


def _heads(make: Callable[[Mapping[str, Any]], FitContext]) -> dict[str, dict[str, list[float]]]:
    """Kind -> accuracy with its interval, and the difference to the probe."""
    last = make({})
    probe = _right(last, solve_arm(last, "probe", refit=True))
    found = {"linear (solved)": {"accuracy": _accuracy(last, solve_arm(last, "probe", refit=True))}}
    for kind in KINDS:
        context = make({"features": "multi"}) if kind == "stages" else last
        plan = context.plan.model_copy(update={"settings": {**context.plan.settings, "head": {"kind": kind}}})
        context = replace(context, plan=plan)
        recipe, _ = with_enough_epochs(usual_head(context), len(context.data.split.train))
        arm = train_arm(context, kind, recipe, kind, None)
        gain = mean_interval((_right(context, arm).astype(int) - probe.astype(int)).tolist())
        found[kind] = {"accuracy": _accuracy(context, arm), "over_probe": [round(value, 4) for value in gain]}
    return found


def _accuracy(context: FitContext, arm: Any) -> list[float]:
    data, rows = context.data, context.data.split.test
    predicted = predict_rows(context, arm, rows)
    figure = figures(data.task.evaluation.metrics, data.targets_of(rows), predicted, seed=0)["accuracy"]
    return [round(value, 4) for value in (figure.value, figure.low, figure.high)]
