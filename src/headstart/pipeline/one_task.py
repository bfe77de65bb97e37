"""The data of one of several tasks: a view on the data of all, with the same rows."""

from __future__ import annotations

from dataclasses import replace

from headstart.contracts.task_capabilities import SeveralTasks
from headstart.pipeline.prepare import Prepared


def of_task(data: Prepared, name: str) -> Prepared:
    """Return the data for one of several tasks: what has no label of it is neither trained nor validated on.

    Raises:
        TypeError: the task is not made of several.
    """
    if not isinstance(data.task, SeveralTasks):
        raise TypeError(f"{type(data.task).__name__} is not made of several tasks")
    known = data.task.known(name, data.targets)
    train, val = (rows[known[rows]] for rows in (data.split.train, data.split.val))
    return replace(
        data,
        examples=data.examples.of_label(name),
        task=data.task.tasks[name],
        targets=data.task.targets_of(name, data.targets),
        split=replace(data.split, train=train, val=val),
    )
