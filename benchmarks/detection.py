"""Detection of blood cells (BCCD, the split that its authors give) from ImageNet backbones, on two cores.

Every fit is the product's own, judged on the given test part, on which nothing was chosen: rates, batch and epochs come
from the validation part. The frozen head has kept maps of four flipped views; the tuned model starts from it and moves
every weight; training from scratch makes as many steps. With few labels both see the same pictures, a fifth of them for
validation, and the interval is over draws. The loops are the same steps of the same head, on kept maps and through the
backbone in every step.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks._cells import cell
from benchmarks._paired import interval_over_draws

BACKBONE, OTHER = "mobilenetv2_100_imagenet", "tf_efficientnet_lite0"
EPOCHS = {"frozen": 15, "tuned": 8, "loops": 6}
QUICK = {"frozen": 2, "tuned": 1, "loops": 1}
LABELS = {10: 60, 30: 30, 100: 12}
"""Labelled pictures -> epochs: 120 to 240 steps."""
DRAWS = 3
AFTER_THE_PASS = ("the probe", "judging on the test part", "saving the model")


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """All figures; with `quick` short trainings of one backbone and one draw, with `full` both backbones."""
    epochs = QUICK if quick else EPOCHS
    frozen, tuned = (_cell(kind, BACKBONE, epochs[kind]) for kind in ("frozen", "tuned"))
    loops = _cell("loops", BACKBONE, epochs["loops"])
    few = {
        labels: [_cell("few", BACKBONE, 2 if quick else length, labels, draw) for draw in range(1 if quick else DRAWS)]
        for labels, length in LABELS.items()
        if not quick or labels == min(LABELS)
    }
    measured: dict[str, float | None] = {
        "detection.bccd.frozen": _figure(frozen, "ap50"),
        "detection.bccd.frozen.minutes": sum(frozen["times"].get(name, 0.0) for name in AFTER_THE_PASS) / 60,
        "detection.bccd.tuned": _figure(tuned, "ap50"),
        "detection.bccd.tuned.minutes": tuned["minutes"],
        "detection.bccd.gain": tuned["against"]["scratch"]["value"],
        "detection.bccd.gain.low": tuned["against"]["scratch"]["low"],
        "detection.bccd.warm_refit": loops["seconds"]["kept"] / loops["seconds"]["plain"],
        "detection.bccd.warm_refit.low": loops["difference"][1],
        "detection.bccd.warm_refit.high": loops["difference"][2],
    }
    details: dict[str, Any] = {"frozen": frozen, "tuned": tuned, "loops": loops, "few_labels": {}}
    for labels, draws in few.items():
        gains = np.array([one["against"]["scratch"]["value"] for one in draws])
        gain = interval_over_draws(gains) if len(gains) > 1 else (float(gains[0]), None, None)
        measured[f"detection.bccd.gain_at_{labels}"] = gain[0]
        if labels == 30:
            measured["detection.bccd.gain_at_30.low"] = gain[1]
        details["few_labels"][str(labels)] = {"draws": draws, "gain": list(gain)}
    if full:
        details["other_backbone"] = _cell("frozen", OTHER, epochs["frozen"])
    return measured, details


def _cell(*arguments: str | int) -> dict[str, Any]:
    return cell("detection", "benchmarks._detection_cell", [str(argument) for argument in arguments])


def _figure(found: dict[str, Any], metric: str) -> float:
    return float(found["arms"]["model"]["figures"][metric]["value"])
