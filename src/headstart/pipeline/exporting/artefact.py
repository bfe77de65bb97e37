"""Exported folders: the graph, its description, what belongs to the preprocessing, real inputs with their outputs, and
a program that replays them.

    export.json          what goes in and comes out, classes, calibration, licence, the gate's figures, hashes of files
    preprocess.json      how an input becomes what goes in
    assets/              files of the preprocessing, such as a tokenizer's
    golden.safetensors   8 real inputs, as raw bytes and as tensors, with the outputs
    check.py             replays them with nothing but the runtime
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save

from headstart.contracts.exporter import Arrays, CannotExport, Compute, Exporter
from headstart.contracts.generation import Never
from headstart.contracts.model_files import PluginEntry, TaskEntry
from headstart.kernel import registry
from headstart.kernel.errors import HeadstartError, RunError, SettingsError
from headstart.kernel.files import hash_bytes, read_json, write_atomic
from headstart.kernel.regular import read_regular
from headstart.kernel.settings import Settings
from headstart.kernel.user_settings import build

DESCRIPTION, PREPROCESSING, GOLDEN, CHECKER = "export.json", "preprocess.json", "golden.safetensors", "check.py"
FORMAT_NUMBER = 1
TOLERANCE = {"float32": 1e-3, "int8": 0.1}
"""Difference of an output from the golden one, as a share of the greatest, that another machine may make."""


class Port(Settings):
    """One tensor that goes in or comes out."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    """A name stands for a size that varies."""


class GateFigures(Settings):
    """Measurements of the gate."""

    examples: int
    difference: float
    """Greatest norm of a difference as a share of the norm of plain PyTorch's output."""
    ties: int
    """Other decisions at ties."""
    batch_sizes: tuple[int, ...]
    drop: tuple[float, float, float] | None = None
    """Change of the primary metric by int8 with its paired 95 % interval; negative is worse."""


class Writes(Settings):
    """Rules for a search: a text begins with `begins`, and the decoder is asked for what follows until `end`."""

    begins: tuple[int, ...]
    end: int
    pad: int
    longest: int
    """Tokens of a text at most."""
    beams: int
    length_penalty: float
    never: Never


class Exported(Settings):
    """Contents of export.json."""

    format: int = FORMAT_NUMBER
    headstart: str
    runtime: str
    way: str
    precision: str
    task: TaskEntry
    backbone: str
    preparation: PluginEntry | None = None
    """What makes the backbone's preprocessing again."""
    licence: str
    """Of the pretrained weights."""
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    calibration: dict[str, float]
    """Temperature, thresholds."""
    gate: GateFigures
    parts: tuple[str, ...] = ()
    """Folders of the graphs of a model that writes, exports themselves; it has no other graph."""
    writes: Writes | None = None
    notes: tuple[str, ...] = ()
    versions: dict[str, str]
    """Of the libraries it was written with."""
    files: dict[str, str]
    """File -> its hash."""

    def exporter(self) -> Exporter:
        """The plug-in of the runtime."""
        found: Exporter = registry.plugin("exporters", self.runtime)()
        return found

    def open(self, folder: Path) -> Compute:
        """The graph, ready to run. Raises RunError."""
        try:
            return self.exporter().open(folder, [i.name for i in self.inputs], [o.name for o in self.outputs])
        except CannotExport as error:
            raise RunError(f"{folder} cannot be run here: {error}") from error


def is_export(folder: Path) -> bool:
    """True for the folder of an export."""
    return (folder / DESCRIPTION).is_file()


def read_exported(folder: Path) -> Exported:
    """The description. Raises RunError where it is damaged or newer than this Headstart."""
    try:
        content = read_json(folder / DESCRIPTION)
        number = content.get("format") if isinstance(content, dict) else None
        if isinstance(number, int) and number > FORMAT_NUMBER:
            raise RunError(
                f"{folder} has format {number}; this Headstart reads up to {FORMAT_NUMBER}. Please update it."
            )
        found: Exported = build(Exported, content, where=DESCRIPTION)
    except (OSError, SettingsError) as error:
        raise RunError(f"{folder / DESCRIPTION} is damaged or foreign: {error}") from error
    except HeadstartError as error:
        raise RunError(f"{folder / DESCRIPTION} cannot be read: {error}") from error
    return found


def require_files(folder: Path, exported: Exported) -> None:
    """Raises RunError, which names the first file that is missing or not as it was exported."""
    for name, digest in exported.files.items():
        try:
            found = hash_bytes(read_regular(folder / name))
        except OSError as error:
            raise RunError(f"{folder / name} cannot be read: {error.strerror or error}. Export again.") from error
        if found != digest:
            raise RunError(f"{folder / name} was changed since it was exported. Restore it, or export again.")


def write_golden(file: Path, arrays: Arrays, outputs: Arrays, raws: Sequence[bytes]) -> None:
    """Write inputs and outputs by name, and each raw input as bytes."""
    tensors = {f"input.{name}": value for name, value in arrays.items()}
    tensors |= {f"output.{name}": value for name, value in outputs.items()}
    tensors |= {f"raw.{row}": np.frombuffer(content, np.uint8) for row, content in enumerate(raws)}
    write_atomic(file, save({name: np.ascontiguousarray(value) for name, value in tensors.items()}))


def read_golden(folder: Path) -> Mapping[str, Mapping[str, np.ndarray]]:
    """{"input": {name: array}, "output": ..., "raw": ...}. Raises RunError."""
    found: dict[str, dict[str, np.ndarray]] = {"input": {}, "output": {}, "raw": {}}
    try:
        for key, value in load_file(folder / GOLDEN).items():
            kind, _, name = key.partition(".")
            found[kind][name] = value
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"{folder / GOLDEN} cannot be read: {error}. Export again.") from error
    return found


def first_difference(expected: Arrays, found: Arrays, tolerance: float) -> str:
    """The first output that differs from the golden one, in words; '' where none does."""
    for name, golden in expected.items():
        value = found[name]
        if value.shape != golden.shape:
            return f"output '{name}' has shape {value.shape}, not {golden.shape}"
        apart = np.abs(value.astype(np.float64) - golden.astype(np.float64))
        allowed = tolerance * max(1e-6, float(np.abs(golden.astype(np.float64)).max(initial=0.0)))
        exact = not np.issubdtype(golden.dtype, np.floating)
        wrong = np.argwhere(~(apart <= (0.5 if exact else allowed)))
        if len(wrong):
            place = tuple(map(int, wrong[0]))
            return f"output '{name}' of input {place[0]} is {value[place]:.6g} at {place[1:]}, not {golden[place]:.6g}"
    return ""


def as_bytes(raw: Any) -> bytes:
    """A raw input as bytes: a file's content, a text in UTF-8, all else as JSON."""
    if isinstance(raw, (bytes, bytearray)):
        return bytes(raw)
    if isinstance(raw, Path):
        return bytes(read_regular(raw))
    if isinstance(raw, str):
        return raw.encode()
    return json.dumps(raw, default=lambda value: value.tolist() if hasattr(value, "tolist") else str(value)).encode()
