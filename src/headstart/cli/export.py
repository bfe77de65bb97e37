"""The command `headstart export`, and `headstart evaluate` of what it wrote."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

import headstart
from headstart.cli.exits import Answer
from headstart.cli.options import Json, Run, given, option, reporter
from headstart.kernel.errors import SettingsError

To = Annotated[str, option("--to", "Runtime: onnx, openvino or torch.", "RUNTIME")]
Int8 = Annotated[bool | None, typer.Option("--int8", help="int8 where it is proven to cost at most one point.")]
Out = Annotated[str | None, option("--out", "Folder; exports/RUN-RUNTIME by default.", "DIR")]
HeldAgainst = Annotated[
    str | None, option("--data", "Real examples to compare on, where the run's data are gone.", "DATA")
]


def export(
    run: Run, to: To, int8: Int8 = None, out: Out = None, data: HeldAgainst = None, as_json: Json = False
) -> Answer:
    """Write the model of a run as one graph that tests itself.

    It is compared with plain PyTorch on validation examples before it counts as exported. The folder holds real inputs
    with their outputs and check.py, which replays them with nothing but the runtime.

    \b
    headstart export runs/photos --to onnx
    headstart export runs/photos --to openvino --int8
    headstart evaluate exports/photos-onnx       replay it on this machine
    """
    found = headstart.export(run, data=data, reporter=reporter(), **given(locals()))
    document = {"export": found.folder, **found.exported.model_dump(mode="json")}
    return Answer(lambda: document, lambda: _print(found.folder, found.exported))


def is_export(folder: str) -> bool:
    """True for the folder of an export."""
    return Path(folder, "export.json").is_file()


def replay_answer(folder: str, data: str | None, options: Mapping[str, Any]) -> Answer:
    """The answer of `headstart evaluate EXPORT`. Raises SettingsError on data or options, which would do nothing."""
    if data is not None or options:
        raise SettingsError(f"{folder} is an export, which replays its own inputs: evaluate data with its run")
    from headstart.verbs.export import replay

    found = replay(folder)
    lines = f"The {found.inputs} golden inputs of {folder} give their outputs on this machine."
    return Answer(lambda: {"export": folder, "inputs": found.inputs, "agrees": True}, lambda: print(lines))


def _print(folder: str, exported: Any) -> None:
    gate = exported.gate
    compared = f"compared with plain PyTorch on {gate.examples} validation examples"
    print(f"Exported to {folder} ({exported.runtime}, {exported.precision}), {compared}:")
    ties = f", {gate.ties} ties apart" if gate.ties else ""
    print(f"outputs differ by {gate.difference:.1e} of their norm, no decision changed{ties}.")
    for note in exported.notes:
        print(note)
    print(f"Licence of the pretrained weights: {exported.licence}.")
    print(f"Replay it anywhere: headstart evaluate {folder}, or python {Path(folder, 'check.py')}")
