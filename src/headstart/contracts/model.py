"""Model: a backbone, heads and additions by name; on disk safetensors plus one JSON. Or a backbone alone.

`model/model.safetensors` holds every weight, `model/model.json` everything else, `model/assets/` the files of the
preprocessing (a tokenizer's). Reading executes nothing: no pickle, no remote code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import save
from torch import Tensor, nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.backbone_alone import predicts_nothing
from headstart.contracts.blended_head import Blended, head_of
from headstart.contracts.declared_size import Stored, weights_at_most
from headstart.contracts.evaluation_mode import evaluation_mode
from headstart.contracts.format import Columns
from headstart.contracts.generation import UsesVocabulary
from headstart.contracts.head_shape import HeadShape
from headstart.contracts.model_files import FORMAT_NUMBER, Description, TaskEntry, read_description, read_state
from headstart.contracts.sound_weights import unsound
from headstart.contracts.task import BoundTask, Calibration, Evaluation, Task
from headstart.contracts.task_capabilities import learnt_of, one_class_each
from headstart.kernel import registry
from headstart.kernel.errors import HeadstartError, RunError, SettingsError, first_line, unknown
from headstart.kernel.files import delete, hash_bytes, write_atomic, write_json
from headstart.kernel.user_settings import build, naming_faults

_ODD = (ValueError, TypeError, KeyError, RuntimeError, OverflowError)
"""What sizes that no network has make torch raise."""


class Learner(Protocol):
    """The module that is trained: a `Model`, or an `Encoder`, which learns without a task."""

    @property
    def backbone(self) -> Backbone:
        """Its stages train as far as the plan says."""
        ...

    @property
    def task(self) -> BoundTask | None:
        """None where nothing is predicted."""
        ...

    @property
    def heads(self) -> nn.ModuleDict:
        """By name; empty without a task."""
        ...

    @property
    def additions(self) -> nn.ModuleDict:
        """Modules that the objective added, by name."""
        ...

    @property
    def execution(self) -> Mapping[str, Any]:
        """Execution of the model at prediction: runner, precision, preprocessing."""
        ...


def rest(learner: Learner) -> None:
    """Switch every module of a learner to evaluation mode."""
    for module in (learner.backbone.module, learner.heads, learner.additions):
        evaluation_mode(module)


@dataclass
class Model:
    """Everything that prediction needs."""

    backbone: Backbone
    task: BoundTask
    heads: nn.ModuleDict
    """By name; a plain task has one, called 'head'."""
    columns: Columns
    """Which columns the training data had; prediction reads the same ones."""
    execution: Mapping[str, Any]
    """Runner, precision and decode policy that the features were made with."""
    calibration: Mapping[str, float] = field(default_factory=dict)
    """What `Evaluation.calibrate` returned."""
    additions: nn.ModuleDict = field(default_factory=nn.ModuleDict)
    """Modules that an objective trains beside the head, by name; prediction needs none, so they are not saved."""
    shape: HeadShape | Blended = field(default_factory=HeadShape)
    """Of the head."""

    @property
    def head_shape(self) -> HeadShape:
        """Return the shape of a head that is trained. Raises TypeError for a blend, which is made of finished ones."""
        if isinstance(self.shape, Blended):
            raise TypeError("a blend is not trained: its models are")
        return self.shape

    def eval(self) -> Model:
        """Switch every module to evaluation mode."""
        rest(self)
        return self

    def save(self, folder: Path) -> None:
        """Write the model; `model.json` comes last, so that a folder with it is whole. Raises HeadstartError."""
        settings, learnt = learnt_of(self.task)
        described = {
            "task": {"plugin": registry.name_of(self.task), "settings": settings, "learnt": learnt},
            "heads": list(self.heads),
            "columns": self.columns.model_dump(mode="json"),
            "execution": dict(self.execution),
            "calibration": dict(self.calibration),
            "head_shape": self.shape.model_dump(mode="json"),
        }
        _write(folder, self.backbone, self._state(), described)

    def _state(self) -> dict[str, Tensor]:
        parts = {"backbone": self.backbone.module, "heads": self.heads}
        return {
            f"{part}.{name}": tensor for part, module in parts.items() for name, tensor in module.state_dict().items()
        }


@dataclass
class Encoder:
    """A backbone that learns without a task: what pretraining trains and leaves."""

    backbone: Backbone
    columns: Columns
    """Which columns the data had."""
    execution: Mapping[str, Any] = field(default_factory=dict)
    """The precision of the training."""
    additions: nn.ModuleDict = field(default_factory=nn.ModuleDict)
    """Modules that the objective trains beside the backbone, by name; they are not saved."""
    heads: nn.ModuleDict = field(default_factory=nn.ModuleDict)
    """None."""
    task: None = None

    def save(self, folder: Path) -> None:
        """Write the backbone as `Model.save` does, without a task. Raises HeadstartError."""
        state = {f"backbone.{name}": tensor for name, tensor in self.backbone.module.state_dict().items()}
        described: dict[str, Any] = {
            "task": None,
            "heads": [],
            "columns": self.columns.model_dump(mode="json"),
            "execution": dict(self.execution),
            "calibration": {},
        }
        _write(folder, self.backbone, state, described)


def load_model(folder: Path) -> Model:
    """Read a saved model.

    Raises:
        RunError: the folder holds no model, a backbone alone, a newer one, a damaged one, another one than its run's,
            or one of a plug-in that is not here.
    """
    described = read_description(folder)
    if described.task is None:
        raise predicts_nothing(folder.parent)
    if "head" not in described.heads:
        raise RunError(f"{folder / 'model.json'} is damaged: its model has no head named 'head'")
    state = read_state(folder, described)
    task = _task(folder, described, described.task)
    backbone = _rebuilt(folder, described, state)
    if isinstance(task, UsesVocabulary):
        task = task.with_backbone(backbone)
    heads = _heads(folder, described, task, backbone, state)
    given = described.columns, described.execution, described.calibration
    return Model(backbone, task, heads, *given, shape=described.head_shape).eval()


def load_backbone(folder: Path) -> Backbone:
    """Read the backbone of a saved model, or one that was saved alone. Raises RunError as `load_model` does."""
    described = read_description(folder)
    backbone = _rebuilt(folder, described, read_state(folder, described))
    backbone.module.eval()
    return backbone


def source_head_of(folder: Path) -> nn.Linear | None:
    """Read the head of a saved model whose examples have one class each; None where it has no linear one."""
    described = read_description(folder)
    if (
        described.task is None
        or not described.head_shape.plain
        or not one_class_each(_task(folder, described, described.task))
    ):
        return None
    state = read_state(folder, described)
    own = {name.removeprefix("heads.head."): value for name, value in state.items() if name.startswith("heads.")}
    return linear_of(own.get("weight"), own.get("bias")) if own.keys() == {"weight", "bias"} else None


def linear_of(weight: Tensor | None, bias: Tensor | None) -> nn.Linear | None:
    """Make a layer of weights (outputs, inputs) or of a 1 x 1 convolution, and a bias (outputs,)."""
    if weight is None or weight.ndim < 2 or weight.numel() != weight.shape[0] * weight.shape[1]:
        return None
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(weight.reshape(weight.shape[:2]))
        layer.bias.copy_(torch.zeros(len(weight)) if bias is None else bias)
    return layer


def _write(folder: Path, backbone: Backbone, state: Mapping[str, Tensor], described: Mapping[str, Any]) -> None:
    weights = save({name: tensor.contiguous().clone() for name, tensor in state.items()})
    write_atomic(folder / "model.safetensors", weights)
    assets = backbone.assets()
    for old in (folder / "assets").glob("*"):
        if old.name not in assets:
            delete(old)
    for name, content in assets.items():
        write_atomic(folder / "assets" / name, content)
    description = {
        "format": FORMAT_NUMBER,
        "weights_hash": hash_bytes(weights),
        "assets": {name: hash_bytes(content) for name, content in assets.items()},
        "backbone": backbone.describe(),
        "backbone_name": backbone.name,
        "licence": backbone.licence,
        **described,
    }
    write_json(folder / "model.json", Description.model_validate(description).model_dump(mode="json"))


def _task(folder: Path, described: Description, entry: TaskEntry) -> BoundTask:
    """The task, with what it learnt. Raises RunError where it cannot have learnt that."""
    try:
        kind = registry.plugin("tasks", entry.plugin)
        settings, learnt = entry.settings, entry.learnt
        if described.format == 1:
            settings, learnt = {name: value for name, value in settings.items() if name in kind.model_fields}, settings
        task: Task = build(kind, settings, where="task")
        with naming_faults(kind, "task"):
            bound = task.restore(learnt)
        require_possible(described.calibration, bound.evaluation)
    except SettingsError as error:
        raise RunError(f"{folder} cannot be made again with this Headstart: {error}") from error
    return bound


def _rebuilt(folder: Path, described: Description, state: Mapping[str, Tensor]) -> Backbone:
    """The backbone with its weights."""
    try:
        family = registry.plugin("backbones", described.backbone.plugin)
        source = build(family, described.backbone.settings, where="backbone")
        with weights_at_most(Stored.of(state)):
            backbone: Backbone = source.rebuild(folder / "assets")
    except HeadstartError as error:
        raise RunError(f"{folder} cannot be made again with this Headstart: {error}") from error
    except _ODD as error:
        raise RunError(f"{folder} describes a backbone that cannot be built: {first_line(error)}") from error
    backbone.name, backbone.licence = described.backbone_name, described.licence
    _fill(backbone.module, "backbone.", state, folder)
    return backbone


def _heads(
    folder: Path, described: Description, task: BoundTask, backbone: Backbone, state: Mapping[str, Tensor]
) -> nn.ModuleDict:
    """The heads with their weights."""
    try:
        with weights_at_most(Stored.of(state)):
            heads = nn.ModuleDict({name: head_of(task, backbone, described.head_shape) for name in described.heads})
    except (HeadstartError, *_ODD) as error:
        raise RunError(f"{folder} describes heads that cannot be built: {first_line(error)}") from error
    _fill(heads, "heads.", state, folder)
    return heads


def require_possible(calibration: Calibration, evaluation: Evaluation) -> None:
    """Refuse a saved calibration that `calibrate` cannot have left. Raises SettingsError, such as on T = 0."""
    for name, number in calibration.items():
        if name not in evaluation.limits:
            raise SettingsError(unknown("calibration", name, evaluation.limits))
        low, high = evaluation.limits[name]
        if not low <= number <= high:
            raise SettingsError(f"calibration.{name} = {number} is not a number from {low:g} to {high:g}")


def _fill(module: nn.Module, prefix: str, state: Mapping[str, Tensor], folder: Path) -> None:
    own = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    try:
        module.load_state_dict(own, strict=True)
    except RuntimeError as error:
        raise RunError(f"{folder} does not fit its own description: {error}") from error
    fault, part = unsound(module), prefix.removesuffix(".")
    if fault:
        raise RunError(f"{folder} cannot be used: the weights of its {part}: {fault}. Repeat the run.")
