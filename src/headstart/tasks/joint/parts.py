"""Names of several tasks' targets, outputs and predictions in one mapping: 'TASK.NAME'."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from headstart.contracts.examples import SEVERAL, Examples
from headstart.contracts.prediction import Prediction
from headstart.contracts.target_kinds import Unplaced
from headstart.contracts.targets import WEIGHT
from headstart.contracts.task import BoundTask, Needs, SplitPolicy, Targets
from headstart.contracts.task_capabilities import SeveralAnswers
from headstart.kernel.errors import DataError, SettingsError
from headstart.tasks._label_kinds import kind_of

V = TypeVar("V")

KNOWN = "known"
"""The target of each task that says whether an example has its label: 1 or 0."""

KNOWN_OR_NOT = Unplaced("known labels", whole=False, axes=(1,), additive=True)


def joined(each: Mapping[str, Mapping[str, V]]) -> dict[str, V]:
    """Return what all tasks have by name as one mapping."""
    return {f"{task}.{name}": value for task, named in each.items() for name, value in named.items()}


def within(task: str, named: Mapping[str, V]) -> dict[str, V]:
    """Return what one of the tasks has, by its own names."""
    start = f"{task}."
    return {name.removeprefix(start): value for name, value in named.items() if name.startswith(start)}


def targets_of(task: str, named: Mapping[str, V]) -> dict[str, V]:
    """Return the targets of one of the tasks, with the weights of the examples."""
    found = within(task, named)
    del found[KNOWN]
    return {**found, **({WEIGHT: named[WEIGHT]} if WEIGHT in named else {})}


def known_in(task: str, targets: Targets) -> np.ndarray:
    """Return which examples (examples,) bool have a label of that task."""
    return np.asarray(targets[f"{task}.{KNOWN}"]) > 0


def prediction_of(task: str, prediction: Prediction) -> Prediction:
    """Return the prediction of one of the tasks."""
    return Prediction(within(task, prediction.columns))


def weight_of(name: str, task: BoundTask, given: Mapping[str, float]) -> float:
    """Return the `given` weight of a task's loss, times its answers: a set of 60 labels does not count as one."""
    return given.get(name, 1.0) * (task.answers if isinstance(task, SeveralAnswers) else 1)


def label_columns(examples: Examples) -> tuple[str, ...]:
    """Return the names of the label columns, each of which is a task. Raises DataError where there are none."""
    if SEVERAL not in examples.schema.targets:
        have = ", ".join(map(repr, examples.schema.targets.values())) or "none"
        raise DataError(f"the task 'joint' needs several label columns (--label A --label B), and the data have {have}")
    return tuple(examples.schema.each_label)


def labelled(examples: Examples, name: str) -> tuple[Examples, np.ndarray]:
    """Return the examples that have a label in a column, with it as their only one, and their rows (known,).

    An empty cell among sets with a separator says that there is no label to it, as where they are the only labels.
    """
    alone = examples.of_label(name)
    values = [value for target in alone.schema.targets for value in alone.target(target)]
    sets = bool(alone.schema.separator)
    rows = [row for row, value in enumerate(values) if value is not None and (sets or kind_of(value) != "missing")]
    return alone.take(rows), np.array(rows, np.int64)


def by_rarest(tasks: Mapping[str, Any], examples: Examples) -> SplitPolicy:
    """Number the classes of all tasks one after the other from 1; 0 is an example without any label."""
    names, held = ["no label"], [list[int]() for _ in range(len(examples))]
    for name, task in tasks.items():
        alone, rows = labelled(examples, name)
        if not len(rows):
            continue
        policy = task.split_policy(alone)
        classes = policy.strata[:, None].tolist() if policy.held is None else policy.held
        for row, some in zip(rows.tolist(), classes):
            held[row] += [len(names) + one for one in some]
        names += [f"{name}: {one}" for one in policy.names]
    counts = np.bincount([one for some in held for one in some], minlength=len(names))
    held = [some or [0] for some in held]
    return SplitPolicy(np.array([min(some, key=lambda one: counts[one]) for some in held]), names, held)


def placed(values: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """Return values (known, ...) at their rows of so many; elsewhere is 0, or in an object's place that of another."""
    filled = np.zeros((count, *values.shape[1:]), values.dtype)
    if values.dtype == object:
        filled[:] = [values[0]] * count
    filled[rows] = values
    return filled


def require_alike(tasks: Mapping[str, BoundTask]) -> None:
    """Refuse tasks whose heads need different features."""
    needs = {name: task.needs for name, task in tasks.items() if task.needs != Needs()}
    if len(set(needs.values())) > 1:
        named = " and ".join(f"'{name}' ({need.features})" for name, need in needs.items())
        raise SettingsError(f"the tasks {named} need different features of the backbone. Fit one without the others.")
