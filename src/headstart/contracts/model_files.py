"""The files of a saved model: what model.json says, and that all of them are as they were written together.

`model.json` has the hashes of the weights and of the assets, and RUN/record.json that of `model.json`: another model in
the run's folder is noticed, and so is an asset that nobody described.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from headstart.contracts.backbone import UNKNOWN_LICENCE
from headstart.contracts.blended_head import Blended
from headstart.contracts.format import Columns
from headstart.contracts.head_shape import HeadShape
from headstart.kernel.errors import HeadstartError, RunError, SettingsError
from headstart.kernel.files import hash_bytes, read_json
from headstart.kernel.regular import read_regular
from headstart.kernel.settings import Settings
from headstart.kernel.user_settings import build

FORMAT_NUMBER = 2
"""Rises when the files of a saved model change their meaning; older numbers stay readable.

In format 1 the settings of a task held what it had learnt, too."""

DESCRIPTION, RECORD = "model.json", "record.json"


class PluginEntry(Settings):
    """A plug-in and the settings that make it again."""

    model_config = ConfigDict(extra="allow")

    plugin: str
    settings: dict[str, Any]


class TaskEntry(PluginEntry):
    """A task, its settings, and what it learnt from the data."""

    learnt: dict[str, Any] = {}


class Description(Settings):
    """Contents of model.json."""

    format: int
    weights_hash: str
    """Of model.safetensors."""
    assets: dict[str, str] = {}
    """File in `assets` -> its hash."""
    backbone: PluginEntry
    backbone_name: str
    licence: str = UNKNOWN_LICENCE
    """Licence of the pretrained weights that the training began with."""
    task: TaskEntry | None
    """None where a backbone was saved alone."""
    heads: tuple[Annotated[str, Field(pattern=r"^\w{1,64}$")], ...]
    head_shape: HeadShape | Blended = HeadShape()
    columns: Columns
    execution: dict[str, Any]
    calibration: dict[str, float]


def model_hash(folder: Path) -> str:
    """Return the hash of model.json, by which a run's record knows its model; empty where there is none."""
    path = folder / DESCRIPTION
    return hash_bytes(path.read_bytes()) if path.is_file() else ""


def read_state(folder: Path, described: Description) -> dict[str, Tensor]:
    """The weights by name.

    Raises:
        RunError: a file is missing, is not as it was written, or was not written with the others.
    """
    assets = folder / "assets"
    for name, digest in described.assets.items():
        if Path(name).name != name:
            raise RunError(f"{folder / DESCRIPTION} is foreign: it names the asset {name!r}, which is not a file name")
        _read_whole(assets / name, digest)
    there = sorted(path.name for path in assets.iterdir()) if assets.is_dir() else []
    strange = [name for name in there if name not in described.assets and not name.startswith(".")]
    if strange:
        raise RunError(f"{assets / strange[0]} does not belong to the model: model.json does not name it. Delete it.")
    return _read_weights(folder / "model.safetensors", described.weights_hash)


def read_description(folder: Path) -> Description:
    """Return the contents of model.json.

    Raises:
        RunError: it is missing, damaged, foreign, newer than this Headstart, or not of the run that it lies in.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        raise RunError(f"{folder} holds no Headstart model: {path.name} is missing")
    try:
        content = read_json(path)
    except (HeadstartError, OSError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error
    number = content.get("format") if isinstance(content, dict) else None
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise RunError(f"{path} describes no Headstart model: it has no format number")
    if number > FORMAT_NUMBER:
        raise RunError(
            f"{path.parent} has format {number}; this Headstart reads up to {FORMAT_NUMBER}. Please update Headstart."
        )
    _require_bound(folder)
    try:
        return build(Description, content, where=path.name)
    except SettingsError as error:
        raise RunError(f"{path} is damaged or foreign: {error}") from error


def _require_bound(folder: Path) -> None:
    """Raises RunError where the record of the run around a model says that another one was saved there."""
    if folder.name != "model":
        return
    try:
        record = read_json(folder.parent / RECORD)
    except (HeadstartError, OSError):  # whoever needs the record says so
        return
    bound = record.get("model_hash") if isinstance(record, dict) else None
    if bound and bound != model_hash(folder):
        raise RunError(
            f"{folder} is not the model that its run has saved: model.json does not match the hash in {RECORD}."
            " Restore the folder, or repeat the run."
        )


def _read_whole(path: Path, expected: str) -> None:
    """Raises RunError when the file is not as it was written."""
    try:
        found = hash_bytes(read_regular(path))
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
