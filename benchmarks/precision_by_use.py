"""Does a probe lose by features in bfloat16? Real ImageNet weights on eight sets of pictures, against float32.

Of each set at most so many pictures are drawn; both precisions feed the same cross-validated probe on the same folds.
A set is worse where the 95 % interval of its accuracy's difference, over all networks and by the bootstrap over its
pictures, lies below zero. Nothing was tuned on these sets. Where bfloat16 is refused by its error, as a fit would
refuse it, features are float32's and the difference is 0. Where NNCF is installed the error of int8 stands beside, on
the first set, and whether the gate refuses it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from benchmarks._data import data_folder, own_cache
from benchmarks._drawn_pictures import drawn_pictures
from headstart.contracts.backbone import Backbone
from headstart.contracts.runner import CannotRun
from headstart.engine.frozen.execution import MOST_DIFFERENCE, TIMES_AUTOCAST, difference, plain_runner
from headstart.engine.frozen.feature_spec import FeatureSpec, FrozenSegment
from headstart.engine.frozen.feeding import feed
from headstart.engine.frozen.reference_result import ReferenceResult
from headstart.engine.frozen.runner_choice import Choice
from headstart.evidence.folds import folds
from headstart.evidence.held_out_probe import quick_prediction
from headstart.kernel import registry
from headstart.kernel.progress import Quiet
from headstart.pipeline.budget import Budget
from headstart.pipeline.decision_log import DecisionLog
from headstart.pipeline.embed import embed
from headstart.pipeline.plan import Plan
from headstart.pipeline.prepare import Prepared, read_data
from headstart.pipeline.ready import Staged, ready, staged

NETWORKS = ("mobilenetv2_100_imagenet", "tf_efficientnet_lite0", "tf_efficientnet_lite1", "tf_efficientnet_lite2")
FOLDS, BATCH, RESAMPLES, SEED = 5, 32, 10_000, 0
CPU = torch.device("cpu")


def _folder(name: str) -> Callable[[], Any]:
    return lambda: str(data_folder() / "data" / name)


SETS: Mapping[str, Callable[[], Any]] = {
    "ants and bees": _folder("img_ants_bees"),
    "cats and dogs": _folder("img_cats_dogs"),
    "brain MRI": _folder("img_brain_mri"),
    **{f"PACS {domain}": _folder(f"da_pacs/{domain}") for domain in ("photo", "art_painting", "cartoon", "sketch")},
    "MNIST": lambda: drawn_pictures("mnist", 60, 0),
}


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """250 pictures a set (`quick`: 100 of three sets, one network; `full`: 600)."""
    networks, most = (NETWORKS[:1], 100) if quick else (NETWORKS, 600 if full else 250)
    sets = [*SETS][:3] if quick else [*SETS]
    cells: dict[str, Any] = {}
    gains: dict[str, np.ndarray] = {}
    with own_cache() as folder:  # one for all sets, so that each network is converted once
        for name in sets:
            shutil.rmtree(folder / "memo", ignore_errors=True)  # the gate is to see the inputs of each
            begun, plan = _read(SETS[name]())
            found = [_cell(*_loaded(begun, plan, network), most, int8=name == sets[0]) for network in networks]
            cells |= {f"{name}, {network}": cell for network, (cell, _) in zip(networks, found)}
            gains[name] = np.mean([right for _, right in found], axis=0)
    summed = {name: [round(100 * value, 2) for value in _interval(each)] for name, each in gains.items()}
    measured = {
        "precision_by_use.mean": float(np.mean([value for value, _, _ in summed.values()])),
        "precision_by_use.worse": float(sum(high < 0 for _, _, high in summed.values())),
        "precision_by_use.error": max(
            cell["error"]["bfloat16"] / cell["autocast"] for cell in cells.values() if not cell["refused"]["bfloat16"]
        ),
    }
    return measured, {"pictures": most, "points with 95 % interval": summed, "cells": cells}


def _cell(data: Prepared, backbone: Backbone, most: int, *, int8: bool) -> tuple[dict[str, Any], np.ndarray]:
    """The figures of a network on a set; right minus right in float32 (pictures,), of bfloat16."""
    draws = np.random.default_rng(SEED)
    rows = np.sort(draws.permutation(np.union1d(data.split.train, data.split.val))[:most])
    error, usual = _errors(data, backbone, rows, ("bfloat16", "int8") if int8 else ("bfloat16",))
    exact, half = (_right(data, backbone, rows, precision) for precision in ("float32", "bfloat16"))
    if exact is None:
        raise TypeError("OpenVINO does not run it in float32")
    refused = {precision: share > max(MOST_DIFFERENCE, TIMES_AUTOCAST * usual) for precision, share in error.items()}
    cell = {
        "accuracy": {"float32": _percent(exact), "bfloat16": _percent(exact if half is None else half)},
        "error": {precision: round(100 * share, 3) for precision, share in error.items()},
        "autocast": round(100 * usual, 3),
        "refused": {**refused, "bfloat16": half is None},
    }
    return cell, np.zeros(len(rows)) if half is None else half - exact


def _percent(right: np.ndarray) -> float:
    return round(100 * float(right.mean()), 2)


def _read(source: Any) -> tuple[Staged, Plan]:
    """The data, split."""
    made = {} if isinstance(source, str) else {"columns": {"image": "input", "label": "label", "part": "part"}}
    plan = Plan(data=source if isinstance(source, str) else "<made>", task="classification", **made)
    return staged(read_data(source, plan, Quiet()), plan), plan


def _loaded(begun: Staged, plan: Plan, network: str) -> tuple[Prepared, Backbone]:
    """The data, bound, and the network."""
    weights = str(data_folder() / "weights" / network)
    found = ready(begun, plan.model_copy(update={"backbone": weights}), Budget(), DecisionLog())
    return found.data, found.backbone


def _errors(
    data: Prepared, backbone: Backbone, rows: np.ndarray, precisions: Sequence[str]
) -> tuple[dict[str, float], float]:
    """Precision -> the relative error of a batch's features, gate or no gate; and that of PyTorch's own bfloat16."""
    (fed,) = feed(backbone, data.examples, rows[:: max(1, len(rows) // BATCH)][:BATCH], BATCH)
    if fed.state is None:
        raise TypeError("no picture could be read")
    segment = FrozenSegment(backbone, FeatureSpec())
    reference = ReferenceResult(plain_runner().start(segment, fed.state, CPU), fed.state, CPU)
    expected, found = reference.result(0), {}
    for precision in precisions:
        runner = registry.plugin("runners", "openvino")(computes_in=precision)
        try:
            execute = runner.start(segment, fed.state, CPU, f"errors of {backbone.weights_hash()}")
            found[precision] = difference(execute(fed.state), expected, segment)
        except CannotRun:  # NNCF is not installed
            continue
    return found, difference(reference.autocast(0), expected, segment)


def _right(data: Prepared, backbone: Backbone, rows: np.ndarray, precision: str) -> np.ndarray | None:
    """1 where a probe is right on a held-out picture (pictures,); None where its features are refused."""
    runner = registry.plugin("runners", "openvino")(computes_in=precision)
    choice = Choice(runner, "", by_use=True)
    keys = [data.keys[row] for row in rows]
    try:
        found = embed(backbone, data.examples.take(rows), keys=keys, runner=choice)
    except CannotRun:
        return None
    cut = folds(np.arange(len(rows)), data.strata[rows], data.kept_together(rows), FOLDS, SEED)
    targets, units = data.targets_of(rows), data.kept_together(rows)
    predicted = quick_prediction(data.task, found.pooled(), targets, cut, units, SEED)
    right: np.ndarray = predicted.columns["probabilities"].argmax(axis=1) == targets["label"]
    return right.astype(float)


def _interval(gains: np.ndarray) -> tuple[float, float, float]:
    """The mean of gains (pictures,) with its 95 % interval, by the bootstrap."""
    draws = np.random.default_rng(SEED)
    means = [gains[draws.integers(len(gains), size=len(gains))].mean() for _ in range(RESAMPLES)]
    low, high = np.quantile(means, (0.025, 0.975))
    return float(gains.mean()), float(low), float(high)
