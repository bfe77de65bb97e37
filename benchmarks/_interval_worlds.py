"""Worlds with two classes whose figures are known, for the coverage of intervals: labels, scores, and true figures.

The score of an example is normal, of the rare class with its mean at `apart`; other models share a part of the noise.
Probabilities are the posterior of the score, with the classes taken as equally frequent (`balanced`) or as they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from headstart.contracts.figures import Figure
from headstart.contracts.metric import Metric
from headstart.contracts.prediction import Prediction
from headstart.contracts.task import Targets
from headstart.evidence.comparison import compare, figures
from headstart.evidence.over_runs import joint_replicates, mean_over_runs
from headstart.tasks.classification.metrics import classification_metrics
from headstart.tasks.multilabel.metrics import multilabel_metrics

SHARED = 0.7
"""Variance of a score that other models of the same world share."""

WEAKER = 0.85
"""Of the distance between the classes: what the other model of a paired difference makes of it."""

MANY = 200_000
"""Examples by which the true figures are measured, half of each class, weighted by how often the class occurs."""

RESAMPLES = 200
RUNS = 3

_LABELS: Mapping[str, Metric] = dict(
    zip(("average_precision", "micro_f1", "f1_of_rare"), multilabel_metrics(["rare"]), strict=False)
)
_ALL: Mapping[str, Metric] = {
    **{metric.name: metric for metric in classification_metrics(["common", "rare"]) if not metric.flaw},
    **{name: metric for name, metric in _LABELS.items() if name != "micro_f1"},
}


def _quick(metric: Metric) -> Metric:
    """The metric, scored as its replicates are: the same value, without the checks of arguments that take most time."""

    def score(targets: Targets, prediction: Prediction) -> float:
        with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0 where it is undefined
            return float(metric.replicates(targets, prediction)(np.ones((1, len(prediction))))[0])

    return replace(metric, score=score)


METRICS: Mapping[str, Metric] = {name: _quick(metric) for name, metric in _ALL.items()}
_ALIKE = (METRICS.keys() - _LABELS.keys(), METRICS.keys() & _LABELS.keys())
"""Names of the metrics that take the same targets and predictions."""


class World(NamedTuple):
    """Distance of the classes, and share of the rare one."""

    apart: float
    balanced: bool
    prevalence: float

    def draw(self, n: int, models: int, draws: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Labels (n,) and the noise of the scores (models, n) of a test part."""
        labels = (draws.random(n) < self.prevalence).astype(np.int64)
        return labels, np.sqrt(SHARED) * draws.normal(size=n) + np.sqrt(1 - SHARED) * draws.normal(size=(models, n))

    def case(self, name: str, labels: np.ndarray, noise: np.ndarray) -> tuple[Targets, Prediction]:
        """Targets and finished prediction, from labels and noise (n,), as the metric of this name takes them."""
        odds = 0.0 if self.balanced else np.log(self.prevalence / (1 - self.prevalence))
        rare = expit(self.apart * (noise + self.apart * labels - self.apart / 2) + odds)
        if name in _LABELS:
            columns = {"probabilities": rare[:, None], "chosen": rare[:, None] > 0.5}
            return {"label": labels[:, None]}, Prediction(columns)
        return {"label": labels}, Prediction({"probabilities": np.stack([1 - rare, rare], axis=1)})


def singles(world: World, n: int, draws: np.random.Generator) -> Mapping[str, bool | None]:
    """Metric -> whether the interval of a test part covers; None without one."""
    labels, (noise,) = world.draw(n, 1, draws)
    true = truths(world)
    return {name: _covers(figure, true[name]) for name, figure in _figures(world, labels, noise).items()}


def differences(world: World, n: int, draws: np.random.Generator) -> Mapping[str, bool | None]:
    """The same of the paired difference to a weaker model."""
    weaker, (labels, (one, two)) = world._replace(apart=round(WEAKER * world.apart, 3)), world.draw(n, 2, draws)
    true, others, covered = truths(world), truths(weaker), {}
    for name, metric in METRICS.items():
        (targets, prediction), (_, other) = world.case(name, labels, one), weaker.case(name, labels, two)
        found = compare(metric, targets, prediction, other, seed=int(draws.integers(2**31)), resamples=RESAMPLES)
        sign = 1 if metric.greater_is_better else -1
        covered[name] = _covers(found.figure, sign * (true[name] - others[name]))
    return covered


def disagreements(world: World, n: int, draws: np.random.Generator) -> tuple[int, int]:
    """Examples on which the models of `differences` answer otherwise, of all and of the rare class."""
    weaker, (labels, noises) = world._replace(apart=round(WEAKER * world.apart, 3)), world.draw(n, 2, draws)
    cases = (one.case("accuracy", labels, noise) for one, noise in zip((world, weaker), noises))
    first, second = (prediction.columns["probabilities"].argmax(axis=1) for _, prediction in cases)
    return int((first != second).sum()), int(((first != second) & (labels == 1)).sum())


def means(world: World, n: int, draws: np.random.Generator) -> Mapping[str, bool | None]:
    """The same of the mean over models that differ in their seed and share the test part."""
    labels, noises = world.draw(n, RUNS, draws)
    true, runs = truths(world), [_figures(world, labels, noise) for noise in noises]
    part, covered = draws.integers(2**31), {}
    units = [f"{part}/{row}" for row in range(n)]
    for names in _ALIKE:
        cases = [world.case(min(names), labels, noise) for noise in noises]
        predictions = {str(run): prediction for run, (_, prediction) in enumerate(cases)}
        found = joint_replicates([METRICS[name] for name in names], cases[0][0], predictions, units)
        for name in names:
            replicates = np.stack([one[METRICS[name].name] for one in found.values()])
            covered[name] = _covers(mean_over_runs([run[name] for run in runs], replicates=replicates), true[name])
    return covered


@cache
def truths(world: World) -> Mapping[str, float]:
    """Metric -> its value on all examples of the world."""
    labels, noise = np.repeat([0, 1], MANY // 2), np.random.default_rng(0).normal(size=MANY)
    weights = np.where(labels == 1, world.prevalence, 1 - world.prevalence)[None]
    return {
        name: float(metric.replicates(*world.case(name, labels, noise))(weights)[0]) for name, metric in METRICS.items()
    }


def _figures(world: World, labels: np.ndarray, noise: np.ndarray) -> dict[str, Figure]:
    found: dict[str, Figure] = {}
    for names in _ALIKE:
        targets, prediction = world.case(min(names), labels, noise)
        measured = figures([METRICS[name] for name in names], targets, prediction, seed=0, resamples=RESAMPLES)
        found |= {name: measured[METRICS[name].name] for name in names}
    return found


def _covers(figure: Figure, true: float) -> bool | None:
    return None if math.isnan(figure.low) else figure.low <= true <= figure.high
