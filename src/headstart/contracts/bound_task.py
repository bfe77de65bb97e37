"""Finding the task that suits labels, binding it, and holding what it gives to its contract: a package outside may
break it.
"""

from __future__ import annotations

from typing import Any

from headstart.contracts.examples import Examples
from headstart.contracts.targets import TargetKind
from headstart.contracts.task import BoundTask, FeatureSource, Task
from headstart.contracts.task_capabilities import ReadsWithin
from headstart.kernel import registry
from headstart.kernel.errors import SettingsError, first_line


def bound_task(task: Task, examples: Examples, backbone: FeatureSource) -> BoundTask:
    """Bind a task to labelled examples.

    Raises:
        DataError: as `Task.bind`.
        SettingsError: the bound task breaks its contract.
    """
    bound, where = task.bind(examples, backbone), f"task '{registry.name_of(task)}'"
    if getattr(bound, "settings", task) != task:
        raise SettingsError(f"{where} changed its settings when it was bound. Keep what is learnt in its BoundTask.")
    try:
        metrics, kinds = bound.evaluation.metrics, bound.target_kinds
    except (SettingsError, TypeError, AttributeError) as error:
        raise SettingsError(f"{where} breaks its contract: {first_line(error)}") from error
    if not metrics:
        raise SettingsError(f"{where} has no metric. Name at least one in its `evaluation`.")
    for name, kind in kinds.items():
        if not isinstance(kind, TargetKind):
            raise SettingsError(f"{where}: the kind of its target '{name}', {kind!r}, is not a TargetKind")
    return bound


def suited_tasks(examples: Examples) -> dict[str, str]:
    """Return the tasks that suit the labels, each with its reason. Raises DataError as `Task.suits`."""
    found: dict[str, str] = {}
    for tasks in tasks_in_turn():
        found = found or {name: reason for name, task in tasks.items() if (reason := task.suits(examples))}
    return found


def tasks_in_turn() -> tuple[dict[str, Any], dict[str, Any]]:
    """The tasks that read what stands within labels, and the others, which are asked where none of these suits."""
    tasks = {name: registry.plugin("tasks", name) for name in registry.names("tasks")}
    within = {name: task for name, task in tasks.items() if isinstance(task, ReadsWithin)}
    return within, {name: task for name, task in tasks.items() if name not in within}
