"""Which examples of a pool to suggest: by the number of labels that there are, or by the method that the user names.

The switch is at `FEW` labels per class: below it a probe knows too little to say of what it is unsure.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from headstart.contracts.features import Features
from headstart.contracts.model import Model
from headstart.contracts.prediction import Prediction
from headstart.contracts.presentation import presentation_of
from headstart.contracts.task import BoundTask
from headstart.contracts.task_capabilities import ClosedForm, one_class_each
from headstart.engine.frozen.infer import heads_on_features
from headstart.engine.solved.solve import solve_head
from headstart.evidence.coverage import covering
from headstart.evidence.suggestions import Suggestion, typical, uncertain
from headstart.kernel.errors import SettingsError, unknown
from headstart.pipeline.plan_file import AUTO
from headstart.pipeline.prepare import Prepared

FEW = 10
"""Labelled examples per class, in the mean, below which typical examples are suggested rather than uncertain ones."""

METHODS = (AUTO, "typical", "covering", "uncertain")

CLUSTERS = 10
"""Clusters whose purity decides what an example covers, where classes are not known."""


class Choice(NamedTuple):
    """The method of suggestions and why it was taken."""

    method: str
    """'typical', 'covering' or 'uncertain'."""
    reason: str


class Known(NamedTuple):
    """Labelled examples with their features."""

    features: np.ndarray
    """(labelled, width) float32; of no examples without any."""
    rows: np.ndarray
    """(labelled,) which rows of `data` they are."""
    data: Prepared | None
    """None where there are no labels, or too few for a task."""
    model: Model | None
    """The model of a run, trained on these labels."""


def require_method(name: str) -> None:
    """Raises SettingsError where there is no such method."""
    if name not in METHODS:
        raise SettingsError(unknown("method", name, METHODS))


def choice_of(named: str, data: Prepared | None, why: str) -> Choice:
    """Return the method that is named, or the one that suits the number of labels.

    Args:
        data: labelled examples; None where there are none whose labels can be used, which `why` explains.

    Raises:
        SettingsError: there is nothing of which a probe could be unsure.
    """
    if data is not None and not _probed(data.task):
        why = "examples have no single class of which a probe could be unsure"
    if named == "uncertain" and why:
        raise SettingsError(f"--method uncertain cannot be had: {why}. typical and covering need no classes.")
    if named != AUTO:
        return Choice(named, "it was asked for")
    if data is None or why:
        return Choice("typical", why)
    each = len(data.examples) / classes_in(data)
    if each < FEW:
        return Choice("typical", f"{each:.1f} labels per class are fewer than {FEW}")
    return Choice("uncertain", f"{each:.0f} labels per class are {FEW} or more")


def chosen(method: str, known: Known, pool: np.ndarray, count: int, seed: int) -> list[Suggestion]:
    """Return suggestions from features (examples, width) of a pool, by a method that `choice_of` returned."""
    if method == "typical":
        return typical(pool, known.features, count, seed)
    if method == "covering":
        clusters = CLUSTERS if known.data is None or not _probed(known.data.task) else classes_in(known.data)
        return covering(pool, known.features, count, clusters, seed)
    predicted, task = _predicted(known, pool, seed)
    guesses = presentation_of(task).columns(predicted)["prediction"]
    return uncertain(pool, predicted.columns["probabilities"], [str(guess) for guess in guesses], count, seed)


def classes_in(data: Prepared) -> int:
    """Return how many classes have a label."""
    return len(np.unique(data.targets["label"]))


def _probed(task: BoundTask) -> bool:
    return one_class_each(task) and isinstance(task, ClosedForm) and task.needs.features == "pooled"


def _predicted(known: Known, pool: np.ndarray, seed: int) -> tuple[Prediction, BoundTask]:
    """Return calibrated predictions for a pool by the run's model, or by a probe, which sees no test part."""
    if known.model is not None:
        return heads_on_features(known.model, pool), known.model.task
    data = known.data
    linear = data.task.linear()
    solved_on = np.isin(known.rows, np.union1d(data.split.train, data.split.val))
    rows = known.rows[solved_on]
    head, _ = solve_head(linear, known.features[solved_on], data.targets_of(rows), data.kept_together(rows), seed)
    with torch.no_grad():
        predicted = linear.predict(head.eval(), Features(torch.from_numpy(pool)), {})
    return linear.evaluation.finish(predicted, {}), data.task
