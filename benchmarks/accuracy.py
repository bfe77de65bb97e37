"""Is the probe right? Sanity floors, and scikit-learn's LogisticRegressionCV at its defaults on the very same features.

Both see the same training rows and are judged on the same test rows; the difference is paired. The value of a
`vs_logistic_regression_cv` figure is the upper end of its 95 % interval in points: below zero, ours would be worse.
"""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegressionCV

from benchmarks._data import data_folder
from headstart.contracts.prediction import Prediction
from headstart.evidence.comparison import compare, figures
from headstart.pipeline.arms import solve_arm
from headstart.pipeline.data import Given
from headstart.pipeline.plan import Plan
from headstart.pipeline.sequence import start
from headstart.pipeline.trained import predict_rows

DATA = {
    "img_ants_bees": "data/img_ants_bees",
    "text_sst2": "data/text_sst2",
    "img_cats_dogs": "data/img_cats_dogs",
    "img_brain_mri": "data/img_brain_mri",
    "text_sms_spam": "data/text_sms_spam/all.csv",
    "tweeteval_irony": "data/text_tweeteval/irony",
    "tweeteval_emotion": "data/text_tweeteval/emotion",
}
FLOORS = ("img_ants_bees", "text_sst2")


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:  # noqa: ARG001
    """Every data set; with `quick` only the two with a floor, sst2 on its smaller files."""
    measured: dict[str, float | None] = {}
    details: dict[str, Any] = {}
    for name, path in DATA.items():
        if quick and name != "img_ants_bees":
            continue
        found = _one(data_folder(), path)
        details[name] = found
        measured[f"accuracy.{name}.vs_logistic_regression_cv"] = found["difference"]["high"]
        if name in FLOORS:
            measured[f"accuracy.{name}"] = found["headstart"]["value"]
    return measured, details


def _one(root: Path, path: str) -> dict[str, Any]:
    images = path.startswith("data/img")
    backbone_name = str(root / "weights" / "mobilenetv2_100_imagenet") if images else "all-MiniLM-L6-v2"
    plan = Plan(data=str(root / path), backbone=backbone_name)
    context = start(Given(plan.data), plan).embedded()
    data, features = context.data, context.features
    started = time.monotonic()
    probe = solve_arm(context, "model")
    ours_seconds = time.monotonic() - started
    train, test = data.split.train, data.split.test
    ours = predict_rows(context, probe, test)
    started = time.monotonic()
    reference = LogisticRegressionCV(n_jobs=2, use_legacy_attributes=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference.fit(features.pooled(train), data.targets["label"][train])
    theirs_seconds = time.monotonic() - started
    probabilities = reference.predict_proba(features.pooled(test))
    theirs = Prediction({"logits": np.log(probabilities + 1e-12), "probabilities": probabilities})
    targets = data.targets_of(test)
    accuracy = data.task.evaluation.primary
    difference = compare(accuracy, targets, ours, theirs, groups=data.groups_of(test), seed=0)
    both = {
        key: figures(data.task.evaluation.metrics, targets, prediction, groups=data.groups_of(test), seed=0)["accuracy"]
        for key, prediction in (("headstart", ours), ("logistic_regression_cv", theirs))
    }
    return {
        **{key: _percent(figure) for key, figure in both.items()},
        "difference": _percent(difference.figure),
        "verdict": difference.verdict,
        "chosen": dict(probe.chosen),
        "seconds": {"headstart": round(ours_seconds, 2), "logistic_regression_cv": round(theirs_seconds, 2)},
        "train": len(train),
        "test": len(test),
        "width": context.backbone.width,
    }


def _percent(figure: Any) -> dict[str, float]:
    return {name: round(100 * getattr(figure, name), 2) for name in ("value", "low", "high")} | {"n": figure.n}
