"""One graph on its way into a folder: written in the first way that passes the gate, then described."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from headstart.contracts.exporter import Arrays, CannotExport, Compute, Exporter, Graph
from headstart.contracts.model import Model
from headstart.contracts.model_files import PluginEntry, TaskEntry
from headstart.contracts.task_capabilities import learnt_of
from headstart.engine.device import versions
from headstart.engine.exported.encoder_decoder import MASK
from headstart.kernel import registry
from headstart.kernel.files import hash_bytes, write_atomic, write_json
from headstart.pipeline.exporting.artefact import (
    CHECKER,
    DESCRIPTION,
    GOLDEN,
    PREPROCESSING,
    TOLERANCE,
    Exported,
    GateFigures,
    Port,
    write_golden,
)
from headstart.pipeline.exporting.check_file import check_file
from headstart.pipeline.exporting.gate import SIZES, Compared, Decide, Prepared, compare_all
from headstart.pipeline.exporting.quantised import Quantised


class Passed(NamedTuple):
    """A graph that has passed its gate."""

    graph: Graph
    way: str
    compute: Compute
    compared: Compared


def passing(
    exporter: Exporter, graph: Graph, batches: Sequence[Prepared], folder: Path, origins: Sequence[str], decide: Decide
) -> Passed:
    """Write a graph in the first way that passes the gate. Raises CannotExport where none does."""
    faults = []
    for way in exporter.ways:
        try:
            exporter.write(graph, folder, way)
            compute = exporter.open(folder, graph.inputs, graph.outputs)
            compared = compare_all(graph, compute, batches, decide)
            fault = compared.fault(origins)
            if not fault:
                return Passed(graph, way, compute, compared)
        except CannotExport as error:
            fault = str(error)
        faults.append(f"by {way}: {fault}")
        for file in folder.iterdir():
            shutil.rmtree(file) if file.is_dir() else file.unlink()
    raise CannotExport(f"no exported graph gives the model's results. {'; '.join(faults)}")


def write_around(exporter: Exporter, smaller: Quantised, folder: Path, arrays: Arrays, raws: Sequence[bytes]) -> Arrays:
    """Write golden inputs and `check.py` beside a graph; return the golden outputs."""
    outputs = smaller.compute(arrays)
    write_golden(folder / GOLDEN, arrays, outputs, raws)
    write_atomic(folder / CHECKER, check_file(exporter.checker, TOLERANCE[smaller.precision]).encode())
    return outputs


def write_preparation(model: Model, folder: Path) -> None:
    """Write how an input becomes what goes in, with the files that this takes."""
    for name, content in model.backbone.assets().items():
        write_atomic(folder / "assets" / name, content)
    write_json(folder / PREPROCESSING, model.backbone.preparation())


def write_description(folder: Path, exported: Exported) -> None:
    """Write `export.json`."""
    write_json(folder / DESCRIPTION, exported.model_dump(mode="json"))


def described(
    model: Model,
    runtime: str,
    passed: Passed,
    smaller: Quantised,
    arrays: Arrays,
    outputs: Arrays,
    folder: Path,
) -> Exported:
    """Return what `export.json` says of a graph, with the hashes of all files in its folder."""
    settings, learnt = learnt_of(model.task)
    compared, graph = passed.compared, passed.graph
    figures = GateFigures(
        examples=compared.examples,
        difference=compared.difference,
        ties=compared.ties,
        batch_sizes=SIZES,
        drop=smaller.drop,
    )
    libraries = versions()
    return Exported(
        headstart=libraries.get("headstart", ""),
        runtime=runtime,
        way=passed.way,
        precision=smaller.precision,
        task=TaskEntry(plugin=registry.name_of(model.task), settings=dict(settings), learnt=dict(learnt)),
        backbone=model.backbone.name,
        preparation=PluginEntry.model_validate(model.backbone.describe()),
        licence=model.backbone.licence,
        inputs=tuple(_port(name, arrays[name], axes) for name, axes in zip(graph.inputs, graph.axes)),
        outputs=tuple(
            _port(name, outputs[name], _shared(name, outputs[name], graph, arrays)) for name in graph.outputs
        ),
        calibration=dict(model.calibration),
        gate=figures,
        notes=smaller.notes,
        versions=libraries,
        files=hashes(folder),
    )


def _port(name: str, value: np.ndarray, axes: Mapping[int, str]) -> Port:
    shape = tuple(axes.get(axis, size) for axis, size in enumerate(value.shape))
    return Port(name=name, dtype=str(value.dtype), shape=shape)


def _shared(name: str, value: np.ndarray, graph: Graph, arrays: Arrays) -> Mapping[int, str]:
    """The axes of an output that vary: the batch's, and a second one as long as an input's that varies."""
    lengths = {arrays[taken].shape[1]: axes[1] for taken, axes in zip(graph.inputs, graph.axes) if 1 in axes}
    has_length = value.ndim > 2 or name == MASK
    second = {1: lengths[value.shape[1]]} if has_length and value.shape[1] in lengths else {}
    return {0: "batch", **second}


def hashes(folder: Path) -> dict[str, str]:
    """Return the hash of every file in a folder, by its place there."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): hash_bytes(path.read_bytes()) for path in files}
