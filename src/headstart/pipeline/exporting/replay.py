"""Replaying an export: its files are as they were written, and its golden inputs give their outputs here."""

from __future__ import annotations

from pathlib import Path

from headstart.kernel.errors import RunError
from headstart.kernel.settings import Settings
from headstart.pipeline.exporting.artefact import (
    TOLERANCE,
    Exported,
    first_difference,
    read_exported,
    read_golden,
    require_files,
)


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
    golden = read_golden(folder)
    found = exported.open(folder)(golden["input"])
    fault = first_difference(golden["output"], found, TOLERANCE[exported.precision])
    if fault:
        raise RunError(f"{folder} does not give its golden outputs on this machine: {fault}")
    return Replay(export=str(folder), inputs=len(golden["raw"]), exported=exported)
