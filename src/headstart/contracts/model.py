"""Model: a backbone, heads and additions by name; on disk safetensors plus one JSON. Or a backbone alone.

`model/model.safetensors` holds every weight, `model/model.json` everything else, `model/assets/` the files of the
preprocessing (a tokenizer's). Reading executes nothing: no pickle, no remote code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic import ConfigDict
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.backbone_alone import predicts_nothing
from headstart.contracts.evaluation_mode import evaluation_mode
from headstart.contracts.format import Columns
from headstart.contracts.task import Task
from headstart.kernel import registry
from headstart.kernel.errors import HeadstartError, RunError, SettingsError
from headstart.kernel.files import hash_bytes, read_json, write_atomic, write_json
from headstart.kernel.settings import Settings, build

FORMAT_NUMBER = 1
"""Rises when the files of a saved model change their meaning; older numbers stay readable."""


class Learner(Protocol):
    """What a training moves: a `Model`, or an `Encoder`, which learns without a task."""

    @property
    def backbone(self) -> Backbone:
        """Its stages train as far as the plan says."""
        ...

    @property
    def task(self) -> Task | None:
        """None where nothing is predicted."""
        ...

    @property
    def heads(self) -> nn.ModuleDict:
        """By name; empty without a task."""
        ...

    @property
    def additions(self) -> nn.ModuleDict:
        """What the objective asked for, by name."""
        ...

    @property
    def execution(self) -> Mapping[str, Any]:
        """How it computes where it is used."""
        ...


def rest(learner: Learner) -> None:
    """Switch every module of a learner to evaluation mode."""
    for module in (learner.backbone.module, learner.heads, learner.additions):
        evaluation_mode(module)


@dataclass
class Model:
    """Everything that prediction needs."""

    backbone: Backbone
    task: Task
    heads: nn.ModuleDict
    """By name; a plain task has one, called 'head'."""
    columns: Columns
    """Which columns the training data had; prediction reads the same ones."""
    execution: Mapping[str, Any]
    """Runner, precision and decode policy that the features were made with."""
    calibration: Mapping[str, float] = field(default_factory=dict)
    """What `Task.calibrate` returned."""
    additions: nn.ModuleDict = field(default_factory=nn.ModuleDict)
    """Modules that an objective trains beside the head, by name; prediction needs none, so they are not saved."""

    def eval(self) -> Model:
        """Switch every module to evaluation mode."""
        rest(self)
        return self

    def save(self, folder: Path) -> None:
        """Write the model; `model.json` comes last, so that a folder with it is whole. Raises HeadstartError."""
        task = self.task
        described = {
            "task": {"plugin": registry.name_of(task), "settings": task.model_dump(mode="json")},  # type: ignore[arg-type, attr-defined]
            "heads": list(self.heads),
            "columns": self.columns.model_dump(mode="json"),
            "execution": dict(self.execution),
            "calibration": dict(self.calibration),
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


class PluginEntry(Settings):
    """A plug-in and the settings that make it again."""

    model_config = ConfigDict(extra="allow")

    plugin: str
    settings: dict[str, Any]


class Description(Settings):
    """What model.json says."""

    format: int
    weights_hash: str
    """Of model.safetensors."""
    assets: dict[str, str] = {}
    """File in `assets` -> its hash."""
    backbone: PluginEntry
    backbone_name: str
    task: PluginEntry | None
    """None where a backbone was saved alone."""
    heads: tuple[str, ...]
    columns: Columns
    execution: dict[str, Any]
    calibration: dict[str, float]


def new_head(task: Task, backbone: Backbone) -> nn.Module:
    """A fresh head of the task for the backbone's features."""
    return task.head(backbone.width, backbone.maps()) if task.reads == "maps" else task.head(backbone.width)


def load_model(folder: Path) -> Model:
    """Read a saved model.

    Raises:
        RunError: the folder holds no model, a backbone alone, a newer one, a damaged one, or one of a plug-in that is
            not here.
    """
    described = _read_description(folder / "model.json")
    if described.task is None:
        raise predicts_nothing(folder.parent)
    state = _read_state(folder, described)
    backbone = _rebuilt(folder, described)
    try:
        kind = registry.plugin("tasks", described.task.plugin)
        task: Task = build(kind, described.task.settings, where="task")
    except SettingsError as error:
        raise RunError(f"{folder} cannot be made again with this Headstart: {error}") from error
    heads = nn.ModuleDict({name: new_head(task, backbone) for name in described.heads})
    _fill(backbone.module, "backbone.", state, folder)
    _fill(heads, "heads.", state, folder)
    return Model(backbone, task, heads, described.columns, described.execution, described.calibration).eval()


def load_backbone(folder: Path) -> Backbone:
    """Read the backbone of a saved model, or one that was saved alone. Raises RunError as `load_model` does."""
    described = _read_description(folder / "model.json")
    state = _read_state(folder, described)
    backbone = _rebuilt(folder, described)
    _fill(backbone.module, "backbone.", state, folder)
    backbone.module.eval()
    return backbone


def _write(folder: Path, backbone: Backbone, state: Mapping[str, Tensor], described: Mapping[str, Any]) -> None:
    weights = save({name: tensor.contiguous().clone() for name, tensor in state.items()})
    write_atomic(folder / "model.safetensors", weights)
    assets = backbone.assets()
    for name, content in assets.items():
        write_atomic(folder / "assets" / name, content)
    description = {
        "format": FORMAT_NUMBER,
        "weights_hash": hash_bytes(weights),
        "assets": {name: hash_bytes(content) for name, content in assets.items()},
        "backbone": backbone.describe(),
        "backbone_name": backbone.name,
        **described,
    }
    write_json(folder / "model.json", Description.model_validate(description).model_dump(mode="json"))


def _rebuilt(folder: Path, described: Description) -> Backbone:
    """The architecture, its weights still to be filled in."""
    try:
        family = registry.plugin("backbones", described.backbone.plugin)
        source = build(family, described.backbone.settings, where="backbone")
    except SettingsError as error:
        raise RunError(f"{folder} cannot be made again with this Headstart: {error}") from error
    backbone: Backbone = source.rebuild(folder / "assets")
    backbone.name = described.backbone_name
    return backbone


def _read_state(folder: Path, described: Description) -> dict[str, Tensor]:
    for name, digest in described.assets.items():
        _read_whole(folder / "assets" / name, digest)
    return _read_weights(folder / "model.safetensors", described.weights_hash)


def _read_description(path: Path) -> Description:
    if not path.exists():
        raise RunError(f"{path.parent} holds no Headstart model: {path.name} is missing")
    try:
        content = read_json(path)
    except (HeadstartError, OSError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error
    number = content.get("format") if isinstance(content, dict) else None
    if not isinstance(number, int):
        raise RunError(f"{path} describes no Headstart model: it has no format number")
    if number > FORMAT_NUMBER:
        raise RunError(
            f"{path.parent} has format {number}; this Headstart reads up to {FORMAT_NUMBER}. Please update Headstart."
        )
    try:
        return build(Description, content, where=path.name)
    except SettingsError as error:
        raise RunError(f"{path} is damaged or foreign: {error}") from error


def _read_whole(path: Path, expected: str) -> None:
    """Raises RunError when the file is not as it was written."""
    try:
        found = hash_bytes(path.read_bytes())
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror or error}") from error
    if found != expected:
        raise RunError(f"{path} is damaged: its content does not match the hash in model.json")


def _read_weights(path: Path, expected: str) -> dict[str, Tensor]:
    _read_whole(path, expected)
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error


def _fill(module: nn.Module, prefix: str, state: Mapping[str, Tensor], folder: Path) -> None:
    own = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    try:
        module.load_state_dict(own, strict=True)
    except RuntimeError as error:
        raise RunError(f"{folder} does not fit its own description: {error}") from error
