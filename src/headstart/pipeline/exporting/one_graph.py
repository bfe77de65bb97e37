"""One graph on its way into a folder: written in the first way that passes the gate, then described."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
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
from headstart.pipeline.exporting.gate import SIZES, Compared, Decide, Prepared, arrays_of, compare_all
from headstart.pipeline.exporting.quantised import Quantised
from headstart.pipeline.exporting.replay import with_checked_preparation


class Held(NamedTuple):
    """A graph, and the real inputs that it is held against."""

    graph: Graph
    batches: Sequence[Prepared]
    decide: Decide
    golden: Prepared
    """Inputs that are kept with their outputs."""
    raws: Sequence[bytes] = ()
    """Their raw inputs; without any they are not prepared again."""


class Passed(NamedTuple):
    """A graph that has passed its gate."""

    graph: Graph
    way: str
    compute: Compute
    compared: Compared


def _passing(exporter: Exporter, held: Held, folder: Path, origins: Sequence[str]) -> Passed:
    """Write a graph in the first way that passes the gate. Raises CannotExport where none does."""
    faults, graph = [], held.graph
    for way in exporter.ways:
        try:
            exporter.write(graph, folder, way)
            compute = exporter.open(folder, graph.inputs, graph.outputs)
            compared = compare_all(graph, compute, held.batches, held.decide)
            fault = compared.fault(origins)
            if not fault:
                return Passed(graph, way, compute, compared)
        except CannotExport as error:
            fault = str(error)
        faults.append(f"by {way}: {fault}")
        for file in folder.iterdir():
            shutil.rmtree(file) if file.is_dir() else file.unlink()
    raise CannotExport(f"no exported graph gives the model's results. {'; '.join(faults)}")


def write_graph(
    exporter: Exporter,
    model: Model,
    held: Held,
    folder: Path,
    origins: Sequence[str],
    shrink: Callable[[Passed], Quantised] = lambda passed: Quantised(passed.compute),
) -> Exported:
    """Write a graph that passes its gate, real inputs with their outputs, `check.py` and the description.

    Args:
        origins: of all examples, for messages.
        shrink: may put int8 in the place of what has passed.

    Raises:
        CannotExport: no way of writing it passes the gate.
    """
    passed = _passing(exporter, held, folder, origins)
    smaller, arrays = shrink(passed), arrays_of(held.graph, held.golden)
    outputs = smaller.compute(arrays)
    write_golden(folder / GOLDEN, arrays, outputs, held.raws)
    write_atomic(folder / CHECKER, check_file(exporter.checker, TOLERANCE[smaller.precision]).encode())
    if held.raws:
        for name, content in model.backbone.assets().items():
            write_atomic(folder / "assets" / name, content)
        write_json(folder / PREPROCESSING, model.backbone.preparation())
    found = _described(model, registry.name_of(exporter), passed, smaller, arrays, outputs, folder)
    found = with_checked_preparation(folder, found) if held.raws else found.model_copy(update={"preparation": None})
    write_description(folder, found)
    return found


def write_description(folder: Path, exported: Exported) -> None:
    """Write `export.json`."""
    write_json(folder / DESCRIPTION, exported.model_dump(mode="json"))


def _described(
    model: Model,
    runtime: str,
    passed: Passed,
    smaller: Quantised,
    arrays: Arrays,
    outputs: Arrays,
    folder: Path,
) -> Exported:
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
