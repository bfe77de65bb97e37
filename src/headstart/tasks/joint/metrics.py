"""The metrics of several tasks: first the mean of their primary ones, then each task's own on the examples with its
label.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy.sparse import csr_array

from headstart.contracts.metric import SHARE, Metric, Replicates, Support
from headstart.contracts.prediction import Prediction
from headstart.contracts.task import BoundTask, Targets
from headstart.tasks.joint.parts import known_in, prediction_of, targets_of


def joint_metrics(tasks: Mapping[str, BoundTask]) -> tuple[Metric, ...]:
    """Return "mean_score", and each task's as 'TASK.METRIC'."""
    each = {name: task.evaluation.metrics for name, task in tasks.items()}
    own = [_of_task(name, metric) for name, metrics in each.items() for metric in metrics]
    return (_mean([*primaries_of(tasks).values()]), *own)


def primaries_of(tasks: Mapping[str, BoundTask]) -> dict[str, Metric]:
    """Return the primary metric of each task."""
    return {name: _of_task(name, task.evaluation.primary) for name, task in tasks.items()}


def _of_task(task: str, metric: Metric) -> Metric:
    def seen(targets: Targets, prediction: Prediction) -> tuple[np.ndarray, Targets, Prediction]:
        rows = np.flatnonzero(known_in(task, targets))
        known = {name: values[rows] for name, values in targets_of(task, targets).items()}
        return rows, known, prediction_of(task, prediction).take(rows)

    def score(targets: Targets, prediction: Prediction) -> float:
        rows, known, found = seen(targets, prediction)
        return metric.score(known, found) if len(rows) else np.nan

    def replicates(targets: Targets, prediction: Prediction) -> Replicates:
        rows, known, own = seen(targets, prediction)
        if not len(rows):
            return lambda weights: np.full(len(weights), np.nan)
        found = metric.replicates(known, own)
        return lambda weights: found(weights[:, rows])

    def support(targets: Targets, prediction: Prediction) -> Support:
        rows, known, own = seen(targets, prediction)
        found = metric.support(known, own) if metric.support else None
        if found is None:
            return Support("", (), csr_array((len(prediction), 0)))
        placed = csr_array((np.ones(len(rows)), (rows, np.arange(len(rows)))), shape=(len(prediction), len(rows)))
        return found._replace(rows=csr_array(placed @ found.rows))

    return replace(
        metric,
        name=f"{task}.{metric.name}",
        title=f"{metric.title} of {task}",
        score=score,
        replicates=replicates,
        support=None if metric.support is None else support,
        breaks_ties=False,  # it would decide between models by one of the tasks
        rows=lambda targets: known_in(task, targets),
    )


def _mean(primaries: list[Metric]) -> Metric:
    """The mean of the tasks' primary metrics, each signed so that more is better; of the tasks with any label."""
    signs = np.array([1.0 if metric.greater_is_better else -1.0 for metric in primaries])
    shares = all(metric.unit == SHARE for metric in primaries) and bool((signs > 0).all())
    ends = [sorted(sign * end for end in metric.bounds) for sign, metric in zip(signs, primaries)]

    def defined(targets: Targets) -> list[int]:
        return [k for k, metric in enumerate(primaries) if metric.rows is None or metric.rows(targets).any()]

    def score(targets: Targets, prediction: Prediction) -> float:
        found = [signs[k] * primaries[k].score(targets, prediction) for k in defined(targets)]
        return float(np.mean(found)) if found else np.nan

    def replicates(targets: Targets, prediction: Prediction) -> Replicates:
        each = [(signs[k], primaries[k].replicates(targets, prediction)) for k in defined(targets)]
        return lambda weights: np.mean([sign * found(weights) for sign, found in each], axis=0)

    return Metric(
        "mean_score",
        "Mean of the tasks' scores",
        True,
        score,
        replicates,
        unit=SHARE if shares else "",
        bounds=(float(np.mean([low for low, _ in ends])), float(np.mean([high for _, high in ends]))),
    )
