"""Is the probe, fitted as by default, as good as scikit-learn's logistic regression where few are labelled?

Of each class so many labels are drawn, by a seed, and split as a fit would split them. The probe is solved on both
parts; the regression has all of the same labels, the same frozen features and a C chosen by cross-validation, on the
features as they come and, beside, on features of variance 1. The test part, which chooses nothing, is the same for all
draws. Differences are in points of its accuracy, paired by draw.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._data import data_folder
from benchmarks._paired import interval_over_draws
from benchmarks.refit import context_of, digits, texts, with_rows
from headstart.pipeline.arms import solve_arm
from headstart.pipeline.context import FitContext
from headstart.pipeline.trained import predict_rows

LABELS = (8, 16, 64)
"""Per class."""

FOLDS = 5
OURS, PLAIN, SCALED = "headstart", "logistic_regression", "logistic_regression, scaled"


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """Two sets of texts and two of images, 10 draws (`quick`: one set, 3 draws; `full`: 30)."""
    draws = 3 if quick else 30 if full else 10
    names = ["tweeteval_emotion"] if quick else [*SETS]
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    for name in names:
        context = SETS[name]()
        found[name] = {f"labels_{labels}": _drawn(context, labels, draws) for labels in LABELS}
    measured: dict[str, float | None] = {}
    for labels in (f"labels_{labels}" for labels in LABELS):
        for suffix, rival in (("", PLAIN), (".scaled", SCALED)):
            gains = np.mean([_gains(one[labels], rival) for one in found.values()], axis=0)
            measured[f"few_labels.{labels}{suffix}"] = 100 * interval_over_draws(gains)[2]
    summed = {name: {labels: _summed(drawn) for labels, drawn in one.items()} for name, one in found.items()}
    return measured, {"draws": draws, "data": summed}


def _drawn(context: FitContext, labels: int, draws: int) -> dict[str, list[float]]:
    """The method -> its accuracy in each draw."""
    found: dict[str, list[float]] = {OURS: [], PLAIN: [], SCALED: []}
    for draw in range(draws):
        drawn = with_rows(context, labels, draw)
        data = drawn.data
        truth, test = data.targets["label"], data.split.test
        rows = np.union1d(data.split.train, data.split.val)
        predicted = predict_rows(drawn, solve_arm(drawn, "model", refit=True), test)
        found[OURS].append(float((predicted.columns["probabilities"].argmax(axis=1) == truth[test]).mean()))
        features = context.features.pooled(rows)
        tested = context.features.pooled(test)
        for name, model in ((PLAIN, _regression(draw)), (SCALED, make_pipeline(StandardScaler(), _regression(draw)))):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that L-BFGS has not converged, or which defaults will change
                found[name].append(float(model.fit(features, truth[rows]).score(tested, truth[test])))
    return found


def _regression(seed: int) -> LogisticRegressionCV:
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    return LogisticRegressionCV(Cs=10, cv=folds, max_iter=1000)


def _gains(accuracies: Mapping[str, list[float]], rival: str) -> np.ndarray:
    """(draws,)"""
    return np.subtract(accuracies[OURS], accuracies[rival])


def _summed(accuracies: Mapping[str, list[float]]) -> dict[str, Any]:
    means = {name: round(float(np.mean(values)), 4) for name, values in accuracies.items()}
    gains = {
        f"gain over {rival}": [round(100 * value, 2) for value in interval_over_draws(_gains(accuracies, rival))]
        for rival in (PLAIN, SCALED)
    }
    return {**means, **gains}


def _scans() -> FitContext:
    weights = str(data_folder() / "weights" / "mobilenetv2_100_imagenet")
    return context_of(str(data_folder() / "data" / "img_brain_mri"), backbone=weights)


SETS: Mapping[str, Callable[[], FitContext]] = {
    "tweeteval_emotion": texts("data/text_tweeteval/emotion"),
    "text_sst2": texts("data/text_sst2"),
    "mnist": digits,
    "img_brain_mri": _scans,
}
"""Where the real data of the benchmarks lie."""
