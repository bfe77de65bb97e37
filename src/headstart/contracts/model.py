"""Model: a backbone, heads and additions by name; on disk safetensors plus one JSON.

`model/model.safetensors` holds every weight, `model/model.json` everything else, `model/assets/` the files of the
preprocessing (a tokenizer's). Reading executes nothing: no pickle, no remote code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.format import Columns
from headstart.contracts.task import Task
from headstart.kernel import registry
from headstart.kernel.errors import HeadstartError, RunError
from headstart.kernel.files import hash_bytes, read_json, write_atomic, write_json
from headstart.kernel.settings import build

FORMAT_NUMBER = 1
"""Rises when the files of a saved model change their meaning; older numbers stay readable."""


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
    """Modules that an objective or tuning added, by name."""

    def eval(self) -> Model:
        """Switch every module to evaluation mode."""
        for module in (self.backbone.module, self.heads, self.additions):
            module.eval()
        return self

    def save(self, folder: Path) -> None:
        """Write the model; `model.json` comes last, so that a folder with it is whole. Raises HeadstartError."""
        weights = save({name: tensor.contiguous().clone() for name, tensor in self._state().items()})
        write_atomic(folder / "model.safetensors", weights)
        for name, content in self.backbone.assets().items():
            write_atomic(folder / "assets" / name, content)
        task = self.task
        write_json(
            folder / "model.json",
            {
                "format": FORMAT_NUMBER,
                "weights_hash": hash_bytes(weights),
                "backbone": self.backbone.describe(),
                "backbone_name": self.backbone.name,
                "task": {"plugin": registry.name_of(task), "settings": task.model_dump(mode="json")},  # type: ignore[arg-type, attr-defined]
                "heads": list(self.heads),
                "columns": self.columns.model_dump(mode="json"),
                "execution": dict(self.execution),
                "calibration": dict(self.calibration),
            },
        )

    def _state(self) -> dict[str, Tensor]:
        parts = {"backbone": self.backbone.module, "heads": self.heads, "additions": self.additions}
        return {
            f"{part}.{name}": tensor for part, module in parts.items() for name, tensor in module.state_dict().items()
        }


def load_model(folder: Path) -> Model:
    """Read a saved model.

    Raises:
        RunError: the folder holds no model, a newer one, or a damaged one.
    """
    if not (folder / "model.json").exists():
        raise RunError(f"{folder} holds no Headstart model: model.json is missing")
    try:
        description = read_json(folder / "model.json")
        number = description["format"]
    except (HeadstartError, KeyError, TypeError) as error:
        raise RunError(f"{folder}/model.json is damaged or foreign: {error}") from error
    if number > FORMAT_NUMBER:
        raise RunError(
            f"{folder} has format {number}; this Headstart reads up to {FORMAT_NUMBER}. Please update Headstart."
        )
    state = _read_weights(folder / "model.safetensors", description["weights_hash"])
    given = description["backbone"]
    family = registry.plugin("backbones", given["plugin"])
    backbone: Backbone = build(family, given["settings"], where="backbone").rebuild(folder / "assets")
    backbone.name = description["backbone_name"]
    kind = registry.plugin("tasks", description["task"]["plugin"])
    task = build(kind, description["task"]["settings"], where="task")
    heads = nn.ModuleDict({name: task.head(backbone.width) for name in description["heads"]})
    _fill(backbone.module, "backbone.", state, folder)
    _fill(heads, "heads.", state, folder)
    columns = build(Columns, description["columns"], where="columns")
    return Model(backbone, task, heads, columns, description["execution"], description["calibration"]).eval()


def _read_weights(path: Path, expected: str) -> dict[str, Tensor]:
    try:
        if hash_bytes(path.read_bytes()) != expected:
            raise RunError(f"{path} is damaged: its content does not match the hash in model.json")
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error


def _fill(module: nn.Module, prefix: str, state: Mapping[str, Tensor], folder: Path) -> None:
    own = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    try:
        module.load_state_dict(own, strict=True)
    except RuntimeError as error:
        raise RunError(f"{folder} does not fit its own description: {error}") from error
