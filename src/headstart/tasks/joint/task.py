"""Joint: several tasks that share a backbone, one for each label column (Caruana 1997, "Multitask learning").

Each task has its own head, losses, metrics and calibration. The loss is the sum over tasks t of w_t L_t, where L_t is
the mean over the examples with a label of t, summed over the labels of a set as in a log-likelihood: in a batch of n
examples of which n_t have one, (n_t / n) / s_t times the mean over these, s_t being the share of all examples that have
one, so that parts of a batch add up to the whole. Objectives weigh tasks otherwise. Models are compared by mean scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, field_serializer
from torch import Tensor, nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.bound_task import bound_task, suited_tasks
from headstart.contracts.computed_outputs import answering
from headstart.contracts.examples import SEVERAL, Examples
from headstart.contracts.features import Features
from headstart.contracts.linear_model import LinearModel
from headstart.contracts.metric import Metric
from headstart.contracts.prediction import Prediction
from headstart.contracts.targets import WEIGHT, TargetKinds
from headstart.contracts.task import (
    BoundTask,
    Calibration,
    Evaluation,
    FeatureSource,
    Needs,
    SplitPolicy,
    Targets,
    Task,
    Tensors,
)
from headstart.contracts.task_capabilities import (
    Choice,
    ClosedForm,
    DecodesTensors,
    Extends,
    Remarks,
    Sampled,
    Windowed,
    learnt_of,
    made_of_sums,
)
from headstart.contracts.windows import Windows
from headstart.kernel import registry
from headstart.kernel.errors import DataError, SettingsError, unknown
from headstart.kernel.settings import Settings
from headstart.kernel.user_settings import build
from headstart.tasks.joint.metrics import joint_metrics, primaries_of
from headstart.tasks.joint.parts import (
    KNOWN,
    KNOWN_OR_NOT,
    by_rarest,
    joined,
    known_in,
    label_columns,
    labelled,
    placed,
    prediction_of,
    require_alike,
    targets_of,
    weight_of,
    within,
)


class Joint(Settings):
    """Several tasks that share a backbone, one for each label column."""

    target: ClassVar[str] = SEVERAL

    kinds: dict[str, str] = {}
    """Label column -> its task, such as {stars = "regression"}; one that is left out is recognised by its labels."""
    options: dict[str, dict[str, Any]] = {}
    """Label column -> settings of its task, such as {income = {class_weights = "none"}}."""
    weights: dict[str, Annotated[float, Field(gt=0)]] = {}
    """Label column -> what its loss is multiplied by; > 0, 1 where it is left out."""

    @classmethod
    def suits(cls, examples: Examples) -> str | None:
        """Return why each label column is a task of its own: there are several, not of 0 and 1; else None."""
        if SEVERAL not in examples.schema.targets:
            return None
        return f"there are {len(examples.schema.each_label)} label columns"

    def split_policy(self, examples: Examples) -> SplitPolicy:
        """Keep the rarest class of each example in proportion, whichever task it is of."""
        return by_rarest({name: task for name, (task, _) in self._each(examples).items()}, examples)

    def bind(self, examples: Examples, backbone: FeatureSource) -> BoundJoint:
        """Bind each task to the examples with its label.

        Raises:
            DataError: as each task, no example has a label of one, or there is but one column.
            SettingsError: settings of a column that there is not, or tasks that need different features.
        """
        tasks, shares, reasons = {}, {}, {}
        for name, (task, reason) in self._each(examples).items():
            alone, rows = labelled(examples, name)
            tasks[name], reasons[name] = bound_task(task, alone, backbone), reason
            shares[name] = len(rows) / len(examples)
        require_alike(tasks)
        return _kind(tasks)(settings=self, tasks=tasks, shares=shares, reasons=reasons)

    def restore(self, learnt: Mapping[str, Any]) -> BoundJoint:
        """Restore each task from what it learnt."""
        tasks = {entry["name"]: _restored(entry) for entry in learnt["tasks"]}
        return _kind(tasks)(settings=self, tasks=tasks, **{key: learnt[key] for key in ("shares", "reasons")})

    def _each(self, examples: Examples) -> dict[str, tuple[Task, str]]:
        """The task of each label column and why it is that one. Raises DataError or SettingsError."""
        columns = label_columns(examples)
        for field in ("kinds", "options", "weights"):
            for name in getattr(self, field):
                if name not in columns:
                    raise SettingsError(f"task.{field}: {unknown('label column', name, columns)}")
        return {name: self._one(name, examples) for name in columns}

    def _one(self, name: str, examples: Examples) -> tuple[Task, str]:
        alone, rows = labelled(examples, name)
        if not len(rows):
            raise DataError(
                f"column '{name}': none of the {len(examples)} examples has a label. Fill some in, or do not name it."
            )
        suited = {self.kinds[name]: "named by task.kinds"} if name in self.kinds else suited_tasks(alone)
        if len(suited) != 1:
            found = "; ".join(f"{kind}: {reason}" for kind, reason in suited.items()) or "none"
            raise DataError(
                f"column '{name}': its task is not clear from the labels ({found}). Name it, as in"
                f" --set 'task.kinds={{{name} = \"classification\"}}'."
            )
        ((kind, reason),) = suited.items()
        task: Task = build(registry.plugin("tasks", kind), self.options.get(name, {}), where=f"task.options.{name}")
        return task, reason


class BoundJoint(BoundTask):
    """Several bound tasks that share a backbone."""

    settings: Joint
    tasks: dict[str, BoundTask]
    """By label column."""
    shares: dict[str, Annotated[float, Field(gt=0, le=1)]]
    """Share of the examples that have a label of each."""
    reasons: dict[str, str] = {}
    """Why each has the task that it has."""

    @field_serializer("tasks")
    def _entries(self, tasks: dict[str, BoundTask]) -> list[dict[str, Any]]:
        found = [(name, task, *learnt_of(task)) for name, task in tasks.items()]
        return [
            {"name": name, "plugin": registry.name_of(task), "settings": settings, "learnt": learnt}
            for name, task, settings, learnt in found
        ]

    @property
    def target_kinds(self) -> TargetKinds:  # type: ignore[override]
        """The kinds of each task's targets, and of whether there are labels of it."""
        return joined({name: {**task.target_kinds, KNOWN: KNOWN_OR_NOT} for name, task in self.tasks.items()})

    @property
    def needs(self) -> Needs:
        """Features that all heads can read: those of the one that needs more than pooled ones, if there is one."""
        return next((task.needs for task in self.tasks.values() if task.needs != Needs()), Needs())

    @property
    def evaluation(self) -> Evaluation:
        """mean_score, and each task's metrics and calibration."""
        limits = joined({name: task.evaluation.limits for name, task in self.tasks.items()})
        by_loss = all(task.evaluation.chosen_by == "loss" for task in self.tasks.values())
        chosen_by: Literal["loss", "metric"] = "loss" if by_loss else "metric"
        return Evaluation(joint_metrics(self.tasks), self._calibrated, self._finished, chosen_by, limits)

    def split_policy(self, examples: Examples) -> SplitPolicy:
        """Keep the rarest class of each example in proportion."""
        return by_rarest(self.tasks, examples)

    def extended(self, examples: Examples, backbone: FeatureSource) -> Self:
        """Extend each task that has labels here. Raises DataError as they do, or where one cannot go on."""
        tasks, shares = dict(self.tasks), dict(self.shares)
        for name, task in self.tasks.items():
            if not isinstance(task, Extends):
                raise DataError(f"the task of '{name}', {registry.name_of(task)}, cannot go on with more data")
            alone, rows = labelled(examples, name)
            if len(rows):
                tasks[name], shares[name] = task.extended(alone, backbone), len(rows) / len(examples)
        return self.model_copy(update={"tasks": tasks, "shares": shares})

    def targets(self, examples: Examples) -> Targets:
        """Return each task's as 'TASK.NAME', and 'TASK.known' (examples,) float32, 1 where there is a label of it.

        Where there is none a target is 0 or another's; a task without any label has only the latter. Raises DataError
        as each task, or without labels of any.
        """
        found: dict[str, dict[str, np.ndarray]] = {}
        for name, task in self.tasks.items():
            alone, rows = labelled(examples, name)
            own = task.targets(alone) if len(rows) else {}
            filled = {key: placed(values, rows, len(examples)) for key, values in own.items() if key != WEIGHT}
            found[name] = {**filled, KNOWN: placed(np.ones(len(rows), np.float32), rows, len(examples))}
        if not any(bool(own[KNOWN].any()) for own in found.values()):
            raise DataError(f"none of the {len(examples)} examples has a label of {' or '.join(self.tasks)}")
        return {**joined(found), **examples.weights()}

    @property
    def primaries(self) -> Mapping[str, Metric]:
        """Return each task's primary metric."""
        return primaries_of(self.tasks)

    def known(self, name: str, targets: Targets) -> np.ndarray:
        """Return which examples (examples,) bool have a label of that task."""
        return known_in(name, targets)

    def targets_of(self, name: str, targets: Targets) -> Targets:
        """Return the targets of that task alone."""
        return targets_of(name, targets)

    def joined(self, predictions: Mapping[str, Prediction]) -> Prediction:
        """Return the predictions of the tasks as one."""
        return Prediction(joined({name: prediction.columns for name, prediction in predictions.items()}))

    def inputs(self, examples: Examples) -> Targets:
        """Return what each head must know of the examples."""
        return joined({name: task.inputs(examples) for name, task in self.tasks.items()})

    def head(self, backbone: FeatureSource) -> nn.ModuleList:
        """Return the heads in the order of the tasks."""
        return nn.ModuleList(task.head(backbone) for task in self.tasks.values())

    def linear(self) -> Self:
        """Return the same with linear heads."""
        return self.model_copy(update={"tasks": {name: task.linear() for name, task in self.tasks.items()}})

    def forward(self, head: nn.Module, features: Features, inputs: Tensors) -> Tensors:
        """Return the outputs of each task's head as 'TASK.NAME', each (batch, ...)."""
        each = zip(self.tasks.items(), head.children(), strict=True)
        return joined({name: task.forward(part, features, within(name, inputs)) for (name, task), part in each})

    def losses(self, outputs: Tensors, targets: Tensors) -> Tensors:
        """Return a term for each task, by its name."""
        if self.in_sums:
            return self.losses_of(self.sums(outputs, targets))
        return {
            name: weight_of(name, task, self.settings.weights) * self._loss(name, task, outputs, targets)
            for name, task in self.tasks.items()
        }

    @property
    def in_sums(self) -> bool:
        """Return whether the losses of any task are made of sums: then those of all are."""
        return any(made_of_sums(task) for task in self.tasks.values())

    def sums(self, outputs: Tensors, targets: Tensors) -> Tensors:
        """Return the sums of each task over the examples with its label: its own, or "loss" and "count"."""
        found = {}
        for name, task in self.tasks.items():
            known = targets[f"{name}.{KNOWN}"] > 0
            own, truth = (
                {k: v[known] for k, v in of.items()} for of in (within(name, outputs), targets_of(name, targets))
            )
            if made_of_sums(task):
                found[name] = dict(task.sums(own, truth))
            else:
                count = known.sum()
                loss = _total(task.losses(own, truth)) * count if bool(count) else _nothing(own)
                found[name] = {"loss": loss, "count": count}
        return joined(found)

    def losses_of(self, sums: Tensors) -> Tensors:
        """Return a term for each task, the mean over the examples with its label or what the task makes of its sums."""
        found = {}
        for name, task in self.tasks.items():
            own = within(name, sums)
            mean = _total(task.losses_of(own)) if made_of_sums(task) else own["loss"] / own["count"].clamp(min=1)
            found[name] = weight_of(name, task, self.settings.weights) * mean
        return found

    def predict(self, head: nn.Module, features: Features, inputs: Tensors) -> Prediction:
        """Return the columns of each task's prediction as 'TASK.COLUMN', of one pass of all heads."""
        outputs = self.forward(head, features, inputs)
        parts = [*head.children()] or [head] * len(self.tasks)  # none where the outputs were computed elsewhere
        each = {
            name: answering(task, within(name, outputs)).predict(part, features, within(name, inputs))
            for (name, task), part in zip(self.tasks.items(), parts, strict=True)
        }
        return self.joined(each)

    def decoded(self, outputs: Tensors, calibration: Calibration) -> Tensors:
        """Return the answers of each task that has them on tensors, as 'TASK.NAME'."""
        return joined(
            {
                name: task.decoded(within(name, outputs), within(name, calibration))
                for name, task in self.tasks.items()
                if isinstance(task, DecodesTensors)
            }
        )

    def choices(self) -> tuple[Choice, ...]:
        """Return which task each column is, and what the tasks themselves chose."""
        found = [
            Choice(f"task of '{name}'", registry.name_of(task), self.reasons.get(name, ""))
            for name, task in self.tasks.items()
        ]
        return (*found, *(one for task in self.tasks.values() if isinstance(task, Remarks) for one in task.choices()))

    def warnings(self, examples: Examples) -> tuple[str, ...]:
        """Return those of the tasks."""
        return tuple(w for task in self.tasks.values() if isinstance(task, Remarks) for w in task.warnings(examples))

    def _loss(self, name: str, task: BoundTask, outputs: Tensors, targets: Tensors) -> Tensor:
        found, truth, share = within(name, outputs), targets_of(name, targets), self.shares[name]
        if share == 1:
            return _total(task.losses(found, truth))
        known = targets[f"{name}.{KNOWN}"] > 0
        if not bool(known.any()):
            return _nothing(found)
        some = ({key: value[known] for key, value in named.items()} for named in (found, truth))
        return _total(task.losses(*some)) * (known.float().mean() / share)

    def _calibrated(self, prediction: Prediction, targets: Targets) -> Calibration:
        found = {}
        for name, task in self.tasks.items():
            rows = np.flatnonzero(known_in(name, targets))
            own = {key: values[rows] for key, values in targets_of(name, targets).items()}
            if len(rows):
                found[name] = task.evaluation.calibrate(prediction_of(name, prediction).take(rows), own)
        return joined(found)

    def _finished(self, prediction: Prediction, calibration: Calibration) -> Prediction:
        return self.joined(
            {
                name: task.evaluation.finish(prediction_of(name, prediction), within(name, calibration))
                for name, task in self.tasks.items()
            }
        )


class WindowedJoint(BoundJoint):
    """Tasks of texts, one of which cuts those that are longer than a backbone reads, such as spans.

    The pieces of a text have its labels of the other tasks, which mean their scores over the pieces.
    """

    def cut(self, examples: Examples, backbone: Backbone) -> Windows | None:
        """Return the pieces of long texts, as the task that cuts has them."""
        name, task = self._cutting()
        return task.cut(examples.of_label(name), backbone)

    def merged(self, prediction: Prediction, windows: Windows) -> Prediction:
        """Join the pieces of each text."""
        cutting, task = self._cutting()
        _, first, counts = np.unique(windows.owner, return_index=True, return_counts=True)
        found = {
            name: {
                column: np.add.reduceat(values, first) / counts.reshape(-1, *[1] * (values.ndim - 1))
                for column, values in prediction_of(name, prediction).columns.items()
            }
            for name in self.tasks
            if name != cutting
        }
        found[cutting] = dict(task.merged(prediction_of(cutting, prediction), windows).columns)
        return Prediction(joined({name: found[name] for name in self.tasks}))

    def _cutting(self) -> tuple[str, Windowed]:
        return next((name, task) for name, task in self.tasks.items() if isinstance(task, Windowed))


class SolvedJoint(BoundJoint):
    """Tasks all of whose linear heads can be solved for on pooled features."""

    def linear_model(self, targets: Targets, seed: int) -> LinearModel:
        """Return that each task is solved by itself."""
        (any_task, *_) = self.tasks
        return LinearModel("several", targets[f"{any_task}.{KNOWN}"])


def _kind(tasks: Mapping[str, BoundTask]) -> type[BoundJoint]:
    solved = all(isinstance(task, ClosedForm) and not isinstance(task, Sampled) for task in tasks.values())
    cuts = any(isinstance(task, Windowed) and task.needs.features == "tokens" for task in tasks.values())
    return SolvedJoint if solved else WindowedJoint if cuts else BoundJoint


def _restored(entry: Mapping[str, Any]) -> BoundTask:
    task: Task = build(registry.plugin("tasks", entry["plugin"]), entry["settings"], where="task")
    return task.restore(entry["learnt"])


def _nothing(outputs: Tensors) -> Tensor:
    """A loss () of no examples, which has a gradient."""
    return _total({key: value.sum() * 0 for key, value in outputs.items() if value.is_floating_point()})


def _total(losses: Tensors) -> Tensor:
    return torch.stack(list(losses.values())).sum()
