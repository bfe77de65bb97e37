"""Writing an export: the graph, held against plain PyTorch on validation examples before it counts as exported."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from headstart.contracts.carriers import State
from headstart.contracts.examples import Examples
from headstart.contracts.exporter import Arrays, CannotExport, Compute, Exporter, Graph
from headstart.contracts.modality import raws_of
from headstart.contracts.model import Model
from headstart.contracts.model_files import PluginEntry, TaskEntry
from headstart.contracts.task_capabilities import Windowed, learnt_of
from headstart.engine.device import versions
from headstart.engine.exported.whole_graph import graph_of
from headstart.kernel import registry
from headstart.kernel.errors import DataError
from headstart.kernel.files import hash_bytes, write_atomic, write_json
from headstart.kernel.randomness import draw_seed
from headstart.pipeline.exporting.artefact import (
    CHECKER,
    DESCRIPTION,
    GOLDEN,
    PREPROCESSING,
    TOLERANCE,
    Exported,
    GateFigures,
    Port,
    as_bytes,
    write_golden,
)
from headstart.pipeline.exporting.check_file import check_file
from headstart.pipeline.exporting.gate import SIZES, Compared, Prepared, arrays_of, compare_all, prepared
from headstart.pipeline.exporting.quantised import Quantised, quantised
from headstart.pipeline.exporting.replay import with_checked_preparation

EXAMPLES, EXAMPLES_INT8 = 256, 1000
"""Of the validation part that an export is held against."""
GOLDEN_INPUTS = 8


class Passed(NamedTuple):
    """A graph that has passed its gate."""

    graph: Graph
    way: str
    compute: Compute
    compared: Compared


def write_export(
    model: Model, examples: Examples, folder: Path, exporter: Exporter, *, int8: bool, seed: int
) -> Exported:
    """Write an export of a model into an empty folder.

    Args:
        examples: of the validation part, with or without labels.
        folder: what is written to.
        exporter: writes it for its runtime.
        int8: whether int8 is tried.
        seed: of the choice among the examples.

    Raises:
        CannotExport: the model does not go into a graph, or no way of writing it passes the gate.
    """
    model.backbone.module.to("cpu")
    model.heads.to("cpu")
    examples = _some(model, examples, EXAMPLES_INT8 if int8 else EXAMPLES, seed)
    batches = [*prepared(model, examples)]
    passed = _passing(exporter, model, batches, folder, examples.origins())
    smaller = Quantised(passed.compute)
    if int8:
        smaller = quantised(exporter, model, passed.graph, batches, folder, passed.compared, examples, seed)
    readable = examples.take(np.sort(np.concatenate(passed.compared.rows))[:GOLDEN_INPUTS])
    arrays = arrays_of(passed.graph, next(prepared(model, readable, (GOLDEN_INPUTS,))))
    outputs = smaller.compute(arrays)
    write_golden(folder / GOLDEN, arrays, outputs, [as_bytes(raw) for raw in raws_of(readable)])
    write_atomic(folder / CHECKER, check_file(exporter.checker, TOLERANCE[smaller.precision]).encode())
    for name, content in model.backbone.assets().items():
        write_atomic(folder / "assets" / name, content)
    write_json(folder / PREPROCESSING, model.backbone.preparation())
    found = _described(model, registry.name_of(exporter), passed, smaller, arrays, outputs, folder)
    found = with_checked_preparation(folder, found)
    write_json(folder / DESCRIPTION, found.model_dump(mode="json"))
    return found


def _some(model: Model, examples: Examples, most: int, seed: int) -> Examples:
    """Some of the examples, in the pieces that the model reads at once."""
    drawn = np.random.default_rng(draw_seed(seed, "export")).permutation(len(examples))[:most]
    examples = examples.take(np.sort(drawn))
    windows = model.task.cut(examples, model.backbone) if isinstance(model.task, Windowed) else None
    return examples if windows is None else windows.examples.take(np.arange(min(len(windows.examples), most)))


def _passing(
    exporter: Exporter, model: Model, batches: Sequence[Prepared], folder: Path, origins: Sequence[str]
) -> Passed:
    """The graph in the first way of writing it that passes the gate. Raises CannotExport."""
    largest = max(batches, key=lambda batch: len(batch.rows), default=None)
    if largest is None or len(largest.rows) < 2:
        raise DataError("an export is held against real validation examples, and fewer than 3 of them can be read")
    context = dict(zip(largest.context, largest.tensors[1:]))
    graph = graph_of(model, State(largest.tensors[0], context), largest.asked)
    faults = []
    for way in exporter.ways:
        try:
            exporter.write(graph, folder, way)
            compute = exporter.open(folder, graph.inputs, graph.outputs)
            compared = compare_all(model, graph, compute, batches)
            fault = compared.fault(origins)
            if not fault:
                return Passed(graph, way, compute, compared)
        except CannotExport as error:
            fault = str(error)
        faults.append(f"by {way}: {fault}")
        for file in folder.iterdir():
            shutil.rmtree(file) if file.is_dir() else file.unlink()
    raise CannotExport(f"no exported graph gives the model's results. {'; '.join(faults)}")


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
        outputs=tuple(_port(name, outputs[name], _shared(outputs[name], graph, arrays)) for name in graph.outputs),
        calibration=dict(model.calibration),
        gate=figures,
        notes=smaller.notes,
        versions=libraries,
        files={
            path.relative_to(folder).as_posix(): hash_bytes(path.read_bytes())
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        },
    )


def _port(name: str, value: np.ndarray, axes: Mapping[int, str]) -> Port:
    shape = tuple(axes.get(axis, size) for axis, size in enumerate(value.shape))
    return Port(name=name, dtype=str(value.dtype), shape=shape)


def _shared(value: np.ndarray, graph: Graph, arrays: Arrays) -> Mapping[int, str]:
    """The axes of an output that vary: the batch's, and a second one as long as an input's that varies."""
    lengths = {arrays[name].shape[1]: axes[1] for name, axes in zip(graph.inputs, graph.axes) if 1 in axes}
    second = {1: lengths[value.shape[1]]} if value.ndim > 2 and value.shape[1] in lengths else {}
    return {0: "batch", **second}
