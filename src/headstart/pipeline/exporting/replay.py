"""Replaying an export: its files are as they were written, its raw inputs become the golden tensors by Headstart's own
preprocessing, and these give the golden outputs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from headstart.contracts.modality import InFiles, modality_named
from headstart.engine.exported.whole_graph import HIDDEN
from headstart.kernel import registry
from headstart.kernel.errors import HeadstartError, RunError
from headstart.kernel.settings import Settings
from headstart.kernel.user_settings import build
from headstart.pipeline.exporting.artefact import (
    TOLERANCE,
    Exported,
    first_difference,
    read_exported,
    read_golden,
    require_files,
)

MOST, LEVELS = 1e-3, 2
"""Difference of a tensor as a share of its greatest value; of pixels, which decoders round otherwise."""


class Replay(Settings):
    """The result of replaying an export."""

    export: str
    """The folder."""
    inputs: int
    """Golden inputs that gave their outputs."""
    exported: Exported
    """Its description."""


def replayed(folder: Path) -> Replay:
    """Replay the golden inputs of an export.

    Raises:
        RunError: a file was changed, the runtime is missing, or an output differs; the first of them is named.
    """
    exported = read_exported(folder)
    require_files(folder, exported)
    if exported.parts:
        inputs = [replayed(folder / part).inputs for part in exported.parts]
        return Replay(export=str(folder), inputs=max(inputs), exported=exported)
    golden = read_golden(folder)
    fault = other_tensors(folder, exported, golden)
    if fault:
        raise RunError(f"{folder}: the golden inputs become other tensors on this machine: {fault}")
    found = exported.open(folder)(golden["input"])
    fault = first_difference(golden["output"], found, TOLERANCE[exported.precision])
    if fault:
        raise RunError(f"{folder} does not give its golden outputs on this machine: {fault}")
    return Replay(export=str(folder), inputs=len(golden["raw"]), exported=exported)


def other_tensors(folder: Path, exported: Exported, golden: Mapping[str, Mapping[str, np.ndarray]]) -> str:
    """The first difference of raw inputs that are prepared here, in words; '' without any, or where they cannot be."""
    if exported.preparation is None:
        return ""
    family = registry.plugin("backbones", exported.preparation.plugin)
    backbone = build(family, exported.preparation.settings, where="preparation").rebuild(folder / "assets")
    contents = [golden["raw"][str(row)].tobytes() for row in range(len(golden["raw"]))]
    kind, reader = modality_named(backbone.modality), backbone.reader()
    if isinstance(kind, InFiles):
        raws: list[Any] = [*contents]
    else:
        raws = [_parsed(content) for content in contents]
    prepared = backbone.prepare(raws).hidden.numpy() if reader is None else np.stack([*map(reader, raws)])
    expected = golden["input"][HIDDEN]
    if prepared.dtype == np.uint8 == expected.dtype and prepared.shape == expected.shape:
        apart = np.abs(prepared.astype(int) - expected)
        worst = int(apart.max(axis=tuple(range(1, apart.ndim))).argmax())
        most = int(apart[worst].max())
        return f"input {worst} by up to {most} of 255 levels" if most > LEVELS else ""
    return first_difference({HIDDEN: expected}, {HIDDEN: prepared}, MOST)


def with_checked_preparation(folder: Path, exported: Exported) -> Exported:
    """The description without its preparation where raw inputs, as they are kept, do not become the golden tensors."""
    try:
        fault = other_tensors(folder, exported, read_golden(folder))
    except (HeadstartError, ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
        fault = "they cannot be prepared"
    if not fault:
        return exported
    note = "The replay begins at the golden tensors: raw inputs of this kind are not prepared again."
    return exported.model_copy(update={"preparation": None, "notes": (*exported.notes, note)})


def _parsed(content: bytes) -> Any:
    """A raw input as `as_bytes` wrote it."""
    text = content.decode()
    if text[:1] not in ("[", "{"):
        return text
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return tuple(found) if isinstance(found, list) else found
