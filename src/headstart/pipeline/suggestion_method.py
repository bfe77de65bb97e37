"""Which examples of a pool to suggest: by the number of labels that there are, or by the method that the user names.

The switch is at `FEW` labels per class: below it a probe knows too little to say of what it is unsure.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from headstart.contracts.examples import Examples
from headstart.contracts.features import Features
from headstart.contracts.model import Model
from headstart.contracts.prediction import Prediction
from headstart.contracts.presentation import presentation_of
from headstart.contracts.task import BoundTask
from headstart.contracts.task_capabilities import ClosedForm, Margins, one_class_each
from headstart.engine.frozen.infer import Predictor, heads_on_features
from headstart.engine.solved.solve import solve_head
from headstart.evidence.coverage import covering
from headstart.evidence.suggestions import Suggestion, hesitant, typical, uncertain
from headstart.kernel.errors import SettingsError, unknown
from headstart.pipeline.plan_file import AUTO
from headstart.pipeline.prepare import Prepared

FEW = 10
"""Labelled examples per class, in the mean, below which typical examples are suggested rather than uncertain ones.
Of 3, 5, 7, 10 and never, 10 gave the best probes from 1 to 20 labels per class, in the mean over seven data sets that
`benchmarks/suggest.py` does not report; TypiClust was ahead of ProbCover on six of them."""

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


def choice_of(named: str, known: Known, why: str) -> Choice:
    """Return the method that is named, or the one that suits the number of labels.

    Args:
        known: what is labelled. why: why there are no labels that can be used, if so.

    Raises:
        SettingsError: there is nothing of which a probe could be unsure.
    """
    data, of_margins = known.data, known.model is not None and isinstance(known.model.task, Margins)
    if data is not None and not _probed(data.task):
        why = "examples have no single class of which a probe could be unsure"
    if named == "uncertain" and why and not of_margins:
        raise SettingsError(f"--method uncertain is not possible: {why}. typical and covering need no classes.")
    if named != AUTO:
        return Choice(named, "it was asked for")
    if data is None or why:
        return Choice("typical", why)
    each = len(data.examples) / classes_in(data)
    if each < FEW:
        return Choice("typical", f"{each:.1f} labels per class are fewer than {FEW}")
    return Choice("uncertain", f"{each:.0f} labels per class are {FEW} or more")


def chosen(method: str, known: Known, examples: Examples, pool: np.ndarray, count: int, seed: int) -> list[Suggestion]:
    """Return suggestions from examples of a pool and their features (examples, width), as `choice_of` has decided."""
    if method == "typical":
        return typical(pool, known.features, count, seed)
    if method == "covering":
        clusters = CLUSTERS if known.data is None or not _probed(known.data.task) else classes_in(known.data)
        return covering(pool, known.features, count, clusters, seed)
    if known.model is not None and isinstance(known.model.task, Margins):
        return hesitant(pool, _margins(known.model, known.model.task, examples), count, seed)
    predicted, task = _predicted(known, pool, seed)
    guesses = presentation_of(task).columns(predicted)["prediction"]
    return uncertain(pool, predicted.columns["probabilities"], [str(guess) for guess in guesses], count, seed)


def classes_in(data: Prepared) -> int:
    """Return how many classes have a label."""
    return len(np.unique(data.targets["label"]))


def _probed(task: BoundTask) -> bool:
    return one_class_each(task) and isinstance(task, ClosedForm) and task.needs.features == "pooled"


def _margins(model: Model, task: Margins, examples: Examples) -> np.ndarray:
    """Return margins (examples,), those of what the model cannot read being 1."""
    found, margins = Predictor(model)(examples), np.ones(len(examples))
    if found.prediction is not None:
        margins[found.rows] = task.margins(found.prediction)
    return margins


def _predicted(known: Known, pool: np.ndarray, seed: int) -> tuple[Prediction, BoundTask]:
    """Return calibrated predictions for a pool by the run's model, or by a probe, which sees no test part."""
    if known.model is not None:
        return heads_on_features(known.model, pool), known.model.task
    data = known.data
    if data is None or not isinstance(data.task, ClosedForm):
        raise SettingsError("there is nothing that a probe could learn from")
    linear = data.task.linear()
    solved_on = np.isin(known.rows, np.union1d(data.split.train, data.split.val))
    rows = known.rows[solved_on]
    head, _ = solve_head(linear, known.features[solved_on], data.targets_of(rows), data.kept_together(rows), seed)
    with torch.no_grad():
        predicted = linear.predict(head.eval(), Features(torch.from_numpy(pool)), {})
    return linear.evaluation.finish(predicted, {}), data.task
