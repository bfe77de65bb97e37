"""Histories cut by their task: of each user what came before, and as the target what came after.

The source domain, a table of its own or the run that is the backbone, is put beside the histories of the same users.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.contracts.interactions import ITEMS, USER
from headstart.contracts.model import load_backbone
from headstart.contracts.recommender import HasCandidates
from headstart.contracts.task import Task
from headstart.contracts.task_capabilities import CutsHistories, KnownHistories
from headstart.kernel import registry
from headstart.kernel.errors import DataError, SettingsError
from headstart.pipeline.data import NO_SETTINGS, read_examples
from headstart.pipeline.plan import Plan
from headstart.pipeline.plan_file import AUTO


def cut_histories(examples: Examples, plan: Plan, task: Task, source: Any = None) -> Examples:
    """Return the rows of users cut as the task says; other data as they are.

    Args:
        examples: as a format reads them. task: the plan's. source: the data of another domain where they lie in memory.

    Raises:
        DataError: as `CutsHistories.cut`. SettingsError: a source is given, and the task takes none.
    """
    if not isinstance(task, CutsHistories):
        settings = plan.settings.get("recommender")
        beside = (("--source", plan.source_data), ("--items", plan.items_data), ("--set recommender", settings))
        for flag, given in beside:
            if given is not None:
                raise SettingsError(f"{flag} is for recommendations; the task is {registry.name_of(task)}")
        return examples
    if USER not in examples.table.column_names:
        raise DataError(
            f"task {registry.name_of(task)} needs interactions, and the data hold {examples.schema.modality} inputs:"
            " read them with --format interactions"
        )
    return task.cut(examples, _known(plan, source), plan.seed, contents=plan.items_data is not None)


def format_of(plan: Plan) -> str | None:
    """The plan's format; where none is named the one that its task reads."""
    if plan.format is not None or plan.task == AUTO:
        return plan.format
    return getattr(registry.plugin("tasks", plan.task), "reads_format", None)


def held_out(examples: Examples, part: str) -> Examples:
    """The rows of one part."""
    return examples.take(np.flatnonzero(np.array(examples.column("part")) == part))


def _known(plan: Plan, source: Any) -> KnownHistories | None:
    """The users of the source domain; None without one."""
    if plan.source_data is None:
        return _of_run(plan.backbone)
    settings = plan.settings.get("format", NO_SETTINGS)
    given = plan.source_data if source is None else source
    try:
        examples, _ = read_examples(given, Columns(), format=format_of(plan), settings=settings, labelled=False)
    except DataError as error:
        raise DataError(f"the source domain: {error}") from error
    if USER not in examples.table.column_names or ITEMS not in examples.table.column_names:
        raise DataError(
            f"--source {plan.source_data} holds no interactions: it needs a column of users and one of items"
        )
    users = examples.table.column(USER).combine_chunks()
    return KnownHistories(users, examples.table.column(ITEMS))


def _of_run(backbone: str) -> KnownHistories | None:
    folder = Path(backbone) / "model"
    if not (folder / "model.json").is_file():
        return None
    found = load_backbone(folder)
    known = found.histories() if isinstance(found, HasCandidates) else None
    return None if known is None else KnownHistories(known.users.cast(pa.string()), known.items)
