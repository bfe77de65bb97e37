"""Fine-tuning further: the backbone and the head of a finished run go on from where they are, on more data.

What the plan leaves open is as in that run: task, columns and format, and the tuning where it trains by steps, but
for its length, which follows from the size of the new data.
Objective and augmentation are its own. Classes that the run knows keep their place, new ones come after them and widen
the head, whose old rows stay bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.blended_head import Blended
from headstart.contracts.examples import Examples
from headstart.contracts.head_shape import shaped_head
from headstart.contracts.task import BoundTask, SplitPolicy
from headstart.contracts.task_capabilities import Extends
from headstart.kernel.errors import DataError, RunError, SettingsError
from headstart.kernel.randomness import draw_seed
from headstart.kernel.user_settings import build
from headstart.pipeline.plan import Plan
from headstart.pipeline.plan_file import AUTO
from headstart.pipeline.prepare import Prepared, with_notes, with_parts
from headstart.pipeline.run_folder import RunFolder, open_run
from headstart.pipeline.unusable import require_kind

LENGTH = ("epochs", "max_steps", "patience")
"""Settings of a tuning that follow the size of the data: planned anew for more of them."""

DEFAULT = "full"
"""The tuning where the run's own is solved rather than trained by steps."""


def inherited(plan: Plan, tuning: str | None) -> Plan:
    """The plan of going on from `plan.from_run`, with what it leaves open filled in; `tuning` is what the user named.

    Raises:
        RunError: there is no finished run. SettingsError: a setting that cannot go on from it.
    """
    run = open_run(str(plan.from_run))
    if plan.backbone != AUTO or plan.weights != "pretrained":
        raise SettingsError(
            f"--from {run.folder} goes on with that run's own backbone. To begin with its backbone and a new head, "
            f"give --backbone {run.folder} without --from."
        )
    if plan.task not in (AUTO, run.record.task):
        raise SettingsError(
            f"{run.folder} does {run.record.task}, so its head cannot go on with {plan.task}. To begin another task "
            f"with its backbone, give --backbone {run.folder} in place of --from."
        )
    own = run.plan.plugin("tuning")
    steps = own.start == "pretrained" and not own.solved
    chosen = tuning or (run.plan.tuning if steps else DEFAULT)
    settings = dict(plan.settings)
    if chosen == run.plan.tuning and "tuning" in run.plan.settings:
        kept = {name: value for name, value in run.plan.settings["tuning"].items() if name not in LENGTH}
        settings["tuning"] = {**kept, **settings.get("tuning", {})}
    if plan.settings.get("head"):
        raise SettingsError(
            f"--set head... and --from {run.folder} exclude one another: that run's own head goes on. To begin with "
            f"its backbone and a new head, give --backbone {run.folder} without --from."
        )
    if isinstance(run.model.shape, Blended):
        raise SettingsError(
            f"the model of {run.folder} is blended of several, whose head cannot go on. To begin with their backbones "
            f"and a new head, give --backbone {run.folder} in place of --from."
        )
    if not run.model.shape.plain:
        settings["head"] = run.model.shape.model_dump(exclude_defaults=True)
    if "format" in run.plan.settings:
        settings["format"] = {**run.plan.settings["format"], **settings.get("format", {})}
    named = {name: value for name, value in plan.columns if value}
    if plan.columns.label or plan.columns.labels:
        named = {"label": None, "labels": (), "label_form": None, "decimal": None, **named}
    columns = run.model.columns.model_copy(update={"part": None, **named})  # a split belongs to its own data
    changes = {"task": run.record.task, "columns": columns, "format": plan.format or run.plan.format}
    changes |= {"backbone": str(run.folder), "from_run": str(run.folder), "tuning": chosen, "settings": settings}
    found = plan.model_copy(update=changes)
    _require_steps(found.plugin("tuning"), chosen, run)
    return found


class ContinuedRun:
    """A run as others go on from it."""

    def __init__(self, run: RunFolder, plan: Plan, examples: Examples) -> None:
        """`plan` is that of going on, on these examples. Raises DataError when they are of another kind."""
        require_kind(run.model, examples)
        self.run = run
        self.plan = plan

        self.known = _extensible(run, plan.settings.get("task", {}))

    def split_policy(self, examples: Examples) -> SplitPolicy:
        """Return how more data are to be split. Raises DataError where a label cannot be taken."""
        return self.known.split_policy(examples)

    def bind(self, examples: Examples, backbone: Backbone) -> BoundTask:
        """Bind the run's task to more data. Raises DataError where a label cannot be taken."""
        found: Any = self.known.extended(examples, backbone)
        bound: BoundTask = found
        return bound

    def apart(self, prepared: Prepared) -> Prepared:
        """The data without what would flatter the figures: the run learnt from some held-out examples already.

        Raises:
            DataError: there is no new example, or nothing is left to test on.
        """
        was = self._parts_of(prepared)
        if not (was == "").any():
            raise DataError(
                f"{self.plan.data} holds nothing new: all {len(was)} inputs are among those of {self.run.folder}. Give "
                "data that it has not seen."
            )
        parts = prepared.parts()
        learnt = self.run.record.arms["model"].fit_on
        seen = {"val": np.isin(was[parts["val"]], learnt), "test": np.isin(was[parts["test"]], ("train", "val"))}
        for name, verb in {"val": "validate", "test": "test"}.items():
            if seen[name].any() and seen[name].all():
                raise DataError(
                    f"there is nothing to {verb} on: {self.run.folder} learnt from all {len(seen[name])} examples of "
                    f"the {name} part. Give data that it has not seen."
                )
        if not any(gone.any() for gone in seen.values()):
            return prepared
        left = {name: rows[~seen[name]] if name in seen else rows for name, rows in parts.items()}
        counts = " and ".join(f"{gone.sum()} of the {name} part" for name, gone in seen.items() if gone.any())
        note = f"left out, as {self.run.folder} learnt from them: {counts}"
        return with_parts(with_notes(prepared, (note,)), left)

    def leaked(self, prepared: Prepared) -> dict[str, str]:
        """Content key -> origin of the run's test examples that the training or validation part holds."""
        origins, was = prepared.examples.origins(), self._parts_of(prepared)
        rows = np.concatenate([prepared.split.train, prepared.split.val])
        return {prepared.keys[row]: origins[row] for row in rows if was[row] == "test"}

    def head(self, task: BoundTask, backbone: Backbone) -> nn.Module:
        """The run's head for the classes of `task`: its weights stay, those of new classes are small and random."""
        with torch.random.fork_rng():
            torch.manual_seed(draw_seed(self.plan.seed, "head"))
            return widened(self.run.model.heads["head"], shaped_head(task, backbone, self.plan.head))

    def _parts_of(self, prepared: Prepared) -> np.ndarray:
        """(examples,) the part of the run that each example was in; '' for a new one."""
        known = self.run.parts
        return np.array([known.get(key, "") for key in prepared.keys], dtype="<U5")


def _extensible(run: RunFolder, given: Mapping[str, Any]) -> Extends:
    """The run's task with some of its settings given anew. Raises SettingsError where its head cannot go on."""
    task: Any = run.model.task
    shape = run.model.shape
    if isinstance(shape, Blended) or shape.members > 1 or shape.bottleneck:
        raise SettingsError(
            f"the head of {run.folder} was adapted to a target and is not one layer, so it cannot go on. To begin anew "
            f"with its backbone, give --backbone {run.folder} in place of --from."
        )
    if not isinstance(task, Extends):
        raise SettingsError(
            f"{run.folder} does {run.record.task}, which cannot go on with more data. To begin anew with its backbone, "
            f"give --backbone {run.folder} in place of --from."
        )
    if not given:
        return task
    known: Any = task
    settings = build(type(known.settings), {**known.settings.model_dump(), **given}, where="task")
    widened: Extends = known.model_copy(update={"settings": settings})
    return widened


def widened(old: nn.Module, new: nn.Module) -> nn.Module:
    """`new` with the weights of `old` in the first entries of every axis. Raises RunError where one does not fit."""
    state = new.state_dict()
    for name, value in old.state_dict().items():
        fits = name in state and state[name].ndim == value.ndim
        if not fits or any(a > b for a, b in zip(value.shape, state[name].shape)):
            raise RunError(f"the run's head cannot go on: {name} {tuple(value.shape)} has no place in the new head")
        state[name][tuple(slice(length) for length in value.shape)] = value
    new.load_state_dict(state)
    return new


def _require_steps(tuning: Any, name: str, run: RunFolder) -> None:
    if tuning.solved:
        raise SettingsError(
            f"tuning '{name}' solves for a new head and cannot go on from that of {run.folder}. Use --tuning {DEFAULT},"
            f" or --tuning head_only, which trains that head by steps; or --backbone {run.folder} without --from."
        )
    if tuning.start != "pretrained":
        raise SettingsError(f"tuning '{name}' starts from random weights, so nothing of {run.folder} would be left")
