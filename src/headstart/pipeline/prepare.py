"""The data of a fit in three steps: read, with unusable inputs named and copies found; split; bound to a task."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headstart.contracts.bound_task import suited_tasks
from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.contracts.modality import modality_named
from headstart.contracts.presentation import presentation_of
from headstart.contracts.target_movement import kind_of
from headstart.contracts.task import BoundTask, SplitPolicy, Targets, Task
from headstart.contracts.task_capabilities import ReadsTarget, Remarks, SeveralTasks, one_class_each
from headstart.engine.frozen.content_keys import content_keys
from headstart.evidence.duplicates import Duplicates, find_duplicates
from headstart.evidence.splits import Split, split
from headstart.kernel import registry
from headstart.kernel.errors import DataError, SettingsError, some
from headstart.kernel.progress import Reporter
from headstart.kernel.user_settings import build
from headstart.pipeline.decision_log import DecisionLog
from headstart.pipeline.histories import cut_histories, format_of
from headstart.pipeline.plan import Plan
from headstart.pipeline.plan_file import AUTO
from headstart.pipeline.record import DataIssue, DataSummary, Decision, PartRow
from headstart.pipeline.several_domains import read_given
from headstart.pipeline.unusable import issues_of, unusable


@dataclass(frozen=True)
class Prepared:
    """Data that arms can be trained on: readable rows only."""

    examples: Examples
    columns: Columns
    """The plan's columns, with what was recognised filled in."""
    keys: Sequence[str]
    """Content key of each row."""
    task: BoundTask
    targets: Targets
    strata: np.ndarray
    """(examples,) int: what a split keeps in proportion."""
    groups: np.ndarray | None
    """(examples,) int codes; None without a group column."""
    split: Split
    summary: DataSummary

    def parts(self) -> dict[str, np.ndarray]:
        """Rows of each part by name."""
        return {"train": self.split.train, "val": self.split.val, "test": self.split.test}

    def targets_of(self, rows: np.ndarray) -> Targets:
        """The targets of some rows."""
        return {name: values[rows] for name, values in self.targets.items()}

    def groups_of(self, rows: np.ndarray) -> np.ndarray | None:
        """The groups of some rows."""
        return None if self.groups is None else self.groups[rows]

    def take(self, rows: np.ndarray) -> Prepared:
        """The same data cut down to some rows, all of which train."""
        none, units = np.empty(0, np.int64), self.split.units
        kept = Split(np.arange(len(rows)), none, none, units=None if units is None else units[rows])
        return replace(
            self,
            examples=self.examples.take(rows),
            keys=[self.keys[row] for row in rows],
            targets=self.targets_of(rows),
            strata=self.strata[rows],
            groups=self.groups_of(rows),
            split=kept,
        )

    def kept_together(self, rows: np.ndarray) -> np.ndarray | None:
        """Numbers (rows,) that groups and copies among these rows share; None where no two rows share one."""
        units = self.groups if self.split.units is None else self.split.units
        found = None if units is None else units[rows]
        return None if found is None or len(np.unique(found)) == len(found) else found


@dataclass(frozen=True)
class SeenData:
    """Data as they were read, usable or not, each input looked at once."""

    examples: Examples
    seen: str
    """Description of what the format recognised."""
    keys: Sequence[str | None]
    """Content key of each row; None where its file cannot be read."""
    copies: Duplicates
    unreadable: Mapping[int, str]
    """Row -> why its input cannot be read."""
    unusable: Mapping[int, str]
    """Row -> why nothing can be learnt from its input, though it can be read."""

    def usable_rows(self) -> np.ndarray:
        """(usable,) int64, ascending: the rows that a fit can use."""
        rows = range(len(self.examples))
        return np.array([row for row in rows if row not in self.unusable and row not in self.unreadable], np.int64)

    def usable(self) -> ReadData:
        """Return the rows that a fit can use. Raises DataError where there is none."""
        failures = {**self.unusable, **self.unreadable}
        troubles = issues_of(self.examples, failures)
        rows = self.usable_rows()
        if not len(rows):
            first = f"; {troubles[0].origin} {troubles[0].reason}" if troubles else ""
            raise DataError(f"none of the {len(failures)} inputs is of use{first}")
        keys = [str(self.keys[row]) for row in rows]
        return ReadData(self.examples.take(rows), self.seen, keys, self.copies.cluster[rows], troubles)


@dataclass(frozen=True)
class ReadData:
    """Data as they were read: the rows whose inputs can be used."""

    examples: Examples
    seen: str
    """Description of what the format recognised."""
    keys: Sequence[str]
    """Content key of each row."""
    clusters: np.ndarray
    """(rows,) int: the cluster of copies of each row."""
    troubles: tuple[DataIssue, ...]
    """Every other row with the reason why it cannot be used."""


@dataclass(frozen=True)
class SplitData:
    """Data that are split, before a backbone is there or a task has learnt anything of them."""

    read: ReadData
    policy: SplitPolicy
    groups: np.ndarray | None
    """(rows,) int codes; None without a group column."""
    split: Split

    def notes(self) -> tuple[str, ...]:
        """Return what is to be known of the split."""
        return (*self.split.notes, *_never_trained_on(self.split, self.policy))


def read_data(data: Any, plan: Plan, reporter: Reporter, source: Any = None) -> SeenData:
    """Read the data of a fit and find copies among them; `source` are those of another domain, if in memory.

    Raises:
        DataError: the data cannot be read.
        SettingsError: a setting that does not suit the data.
    """
    settings = plan.settings.get("format", {})
    examples, seen = read_given(data, asked_columns(plan), format=format_of(plan), settings=settings)
    plan.suit(examples.schema.modality)
    if separator := plan.settings.get("task", {}).get("separator"):  # that of the task, where none was recognised
        schema = examples.schema.model_copy(update={"separator": separator})
        examples = Examples(examples.table, schema, examples.notes)
    asked = (plan.source_data, plan.items_data, plan.settings.get("recommender"))
    if not examples.schema.targets or any(one is not None for one in asked):  # a task may make targets by cutting
        examples = cut_histories(examples, plan, choose_task(examples, plan)[0], source)
    return look_at(examples, seen, reporter)


def look_at(examples: Examples, seen: str, reporter: Reporter) -> SeenData:
    """Look at every input once: what cannot be read, what is of no use, and what repeats others."""
    hashed = content_keys(examples, reporter)
    copies = find_duplicates(examples, hashed.keys, reporter)
    unreadable = {**copies.failures, **hashed.failures}
    return SeenData(examples, seen, hashed.keys, copies, unreadable, unusable(examples))


def split_data(read: ReadData, policy: SplitPolicy, seed: int) -> SplitData:
    """Split what was read as its task asks, before a backbone is loaded. Raises DataError where nothing can be."""
    examples, group = read.examples, read.examples.schema.group
    parts = split(
        policy.strata,
        clusters=read.clusters,
        groups=None if group is None else examples.column(group),
        given=None if examples.schema.part is None else examples.column(examples.schema.part),
        keys=read.keys,
        names=policy.names,
        held=policy.held,
        seed=seed,
    )
    groups = codes(examples, group)
    _require_parts(parts, groups, read.clusters)
    return SplitData(read, policy, groups, parts)


def bind_data(data: SplitData, plan: Plan, task: BoundTask, log: DecisionLog) -> Prepared:
    """Encode the targets by a task that is bound to all rows, so that class lists do not depend on the split.

    Raises:
        DataError: targets that the task cannot take.
        SettingsError: the plan's objective needs another task, or a target has no kind.
    """
    examples, parts = data.read.examples, data.split
    for choice in task.choices() if isinstance(task, Remarks) else ():
        log.tell(f"{choice.what}: {choice.value}; {choice.reason}.", Decision(**choice._asdict()))
    targets = task.targets(examples)
    require_classes(plan, task)
    for name in targets:
        kind_of(name, task.target_kinds)
    summary = DataSummary(
        source=" + ".join((plan.data, *plan.more_data)),
        seen=data.read.seen,
        modality=examples.schema.modality,
        parts=(),
        unreadable=data.read.troubles,
        duplicates=len(examples) - len(np.unique(data.read.clusters)),
        leaks=_leaks(parts, examples),
        notes=(*examples.notes, *data.notes()),
    )
    columns = recognised(plan.columns, examples)
    found = Prepared(examples, columns, data.read.keys, task, targets, data.policy.strata, data.groups, parts, summary)
    return with_parts(found, found.parts())


def without(prepared: Prepared, failures: Mapping[int, str]) -> Prepared:
    """The same data without rows whose inputs could not be read after all; they are named with the others.

    Raises:
        DataError: a part that is needed has nothing left.
    """
    if not failures:
        return prepared
    parts = {name: rows[~np.isin(rows, list(failures))] for name, rows in prepared.parts().items()}
    troubles = issues_of(prepared.examples, failures)
    for name in ("train", "test"):
        if not len(parts[name]):
            why = f"{troubles[0].origin} {troubles[0].reason}"
            raise DataError(f"the {name} part is empty: none of its inputs could be read in the end; {why}")
    summary = prepared.summary.model_copy(update={"unreadable": (*prepared.summary.unreadable, *troubles)})
    return with_parts(replace(prepared, summary=summary), parts)


def require_all(examples: Examples, failures: Mapping[int, str]) -> None:
    """Raises DataError where an input could not be read."""
    if failures:
        row, reason = min(failures.items())
        raise DataError(f"{len(failures)} of {len(examples)} inputs cannot be read: {examples.origins()[row]} {reason}")


def no_longer_read(examples: Examples, failures: Mapping[int, str]) -> DataError:
    """The error that inputs, of which the first is named, could be read before."""
    row, reason = min(failures.items())
    return DataError(f"{examples.origins()[row]} could be read before and now {reason}")


def with_notes(prepared: Prepared, notes: tuple[str, ...]) -> Prepared:
    """The same data with more to be told of them."""
    return replace(prepared, summary=prepared.summary.model_copy(update={"notes": (*prepared.summary.notes, *notes)}))


def with_parts(prepared: Prepared, parts: Mapping[str, np.ndarray]) -> Prepared:
    """The same data with other rows in the parts 'train', 'val' and 'test', each (rows,); the summary counts them."""
    labels = presentation_of(prepared.task).labels(prepared.examples)
    counted = _part_rows(parts, prepared.split, prepared.task, labels, prepared.groups)
    split = replace(prepared.split, train=parts["train"], val=parts["val"], test=parts["test"])
    return replace(prepared, split=split, summary=prepared.summary.model_copy(update={"parts": counted}))


def choose_task(examples: Examples, plan: Plan) -> tuple[Task, Decision | None]:
    """The plan's task, not yet bound to the data; with 'auto' the one that suits them, and why.

    Raises:
        DataError: no task or several suit the targets.
        SettingsError: a setting that the task does not have.
    """
    given = plan.settings.get("task", {})
    if plan.task != "auto":
        return plan.plugin("task"), None
    suited = suited_tasks(examples)
    if len(suited) != 1:
        found = "; ".join(f"{name}: {reason}" for name, reason in suited.items()) or "none"
        names = " or --task ".join(registry.names("tasks"))
        raise DataError(f"the task is not clear from the labels ({found}). Give --task {names}.")
    ((name, reason),) = suited.items()
    return _settled(name, given), Decision(what="task", value=name, reason=reason)


def _settled(name: str, given: Mapping[str, Any]) -> Task:
    task: Task = build(registry.plugin("tasks", name), given, where="task")
    return task


def require_classes(plan: Plan, task: BoundTask) -> None:
    """Refuse a task that the plan's objective or head cannot serve. Raises SettingsError."""
    plan.head.require(task)
    if plan.plugin("objective").of_classes and not one_class_each(task):
        raise SettingsError(
            f"objective '{plan.objective}' needs data of which each example has one class, and the task is "
            f"{registry.name_of(task)}. Leave --objective out."
        )
    if plan.plugin("objective").of_tasks and not isinstance(task, SeveralTasks):
        raise SettingsError(
            f"objective '{plan.objective}' is for several tasks (--label A --label B), and the task is "
            f"{registry.name_of(task)}. Leave --objective out."
        )


def codes(examples: Examples, column: str | None) -> np.ndarray | None:
    """(examples,) int: the values of a column numbered; an empty value is a value of its own for each row."""
    if column is None:
        return None
    values = [
        f"alone {row}" if value is None else f"value {value}" for row, value in enumerate(examples.column(column))
    ]
    return np.unique(values, return_inverse=True)[1]


def asked_columns(plan: Plan) -> Columns:
    """The plan's columns, with the target that its task reads."""
    kind = None if plan.task == AUTO else registry.plugin("tasks", plan.task)
    return plan.columns.model_copy(update={"target": kind.target}) if isinstance(kind, ReadsTarget) else plan.columns


def recognised(columns: Columns, examples: Examples) -> Columns:
    """The columns with those that prediction and evaluation must find again; files need none."""
    schema = examples.schema
    found = dict(modality_named(schema.modality).named(examples.table, schema))
    if target := _named_by_a_task(schema.targets):
        columns = columns.model_copy(update={"target": target})
    if found:
        if schema.each_label:
            found |= {"label": None, "labels": tuple(schema.each_label)}
        elif schema.targets and not columns.labels:
            found["label"] = next(iter(schema.targets.values()))
        found |= {"label_form": schema.label_form, "decimal": schema.decimal, "each_label": schema.each_label}
    return columns.model_copy(update=found)


def _named_by_a_task(targets: Collection[str]) -> str | None:
    """The target that a task names as the one that it reads; None for others, such as the plain label."""
    if {*targets} <= {"label"}:  # asking the tasks would load them all
        return None
    kinds = (registry.plugin("tasks", name) for name in registry.names("tasks"))
    return next((kind.target for kind in kinds if isinstance(kind, ReadsTarget) and kind.target in targets), None)


def _require_parts(parts: Split, groups: np.ndarray | None, clusters: np.ndarray) -> None:
    """Refuse a split that has nothing to train on or to judge by."""
    for name, part in (("training", parts.train), ("test", parts.test)):
        if not len(part):
            copies = len(clusters) - len(np.unique(clusters))
            of = "" if groups is None else f" of {len(np.unique(groups))} groups"
            among = f", {copies} of them copies of others," if copies else ""
            raise DataError(
                f"the {name} part is empty: {len(clusters)} usable examples{of}{among} are too few to split"
            )


def _never_trained_on(parts: Split, policy: SplitPolicy) -> tuple[str, ...]:
    """A note on classes that a given split keeps from the training part."""
    held = policy.strata[:, None].tolist() if policy.held is None else policy.held
    trained = {k for row in parts.train.tolist() for k in held[row]}
    unseen = sorted({k for some in held for k in some} - trained)
    return (f"no training example has {some([repr(policy.names[k]) for k in unseen], 10)}",) if unseen else ()


def _part_rows(
    parts: Mapping[str, np.ndarray], split: Split, task: BoundTask, labels: Sequence[Any], groups: np.ndarray | None
) -> tuple[PartRow, ...]:
    leaked = [row for row, _ in split.leaks]
    found = {name: _part_row(name, rows, task, labels, groups) for name, rows in parts.items()}
    counts = {name: int(np.isin(rows, leaked).sum()) for name, rows in parts.items()}
    return tuple(row.model_copy(update={"leaks": counts[name]}) for name, row in found.items())


def _part_row(
    name: str, rows: np.ndarray, task: BoundTask, labels: Sequence[Any], groups: np.ndarray | None
) -> PartRow:
    counts = presentation_of(task).tally([labels[row] for row in rows])
    classes = dict(sorted(counts.items())) if len(counts) <= 200 else {}
    return PartRow(
        name=name,
        examples=len(rows),
        groups=None if groups is None else len(np.unique(groups[rows])),
        classes=classes,
    )


def _leaks(parts: Split, examples: Examples) -> tuple[DataIssue, ...]:
    origins = examples.origins()
    return tuple(
        DataIssue(origin=origins[one], reason=f"is a copy of {origins[other]}, on the other side")
        for one, other in parts.leaks
    )
