"""ONNX: the graph in one file `model.onnx`, for ONNX Runtime and whatever else reads the format.

PyTorch's exporter by `torch.export` writes it, the older one by tracing where that fails or gives other results.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from headstart.contracts.exporter import Arrays, CannotExport, Compute, Graph
from headstart.exporters._int8 import quantised
from headstart.exporters._tracing import as_dynamic_shapes, naming_faults, quiet
from headstart.kernel.settings import Settings

FILE = "model.onnx"
INSTALL = 'pip install "headstart[onnx]"'
LARGEST = 1_800_000_000
"""Bytes of weights that one file holds; protobuf has a limit of 2 GiB."""


class Onnx(Settings):
    """Writes ONNX."""

    opset: int = 18
    """Version of the operator set; 18 is the first with antialiased resizing."""

    ways: ClassVar[tuple[str, ...]] = ("torch.export", "tracing")
    checker: ClassVar[str] = """def load(folder):
    import onnxruntime
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    taken, names = [i.name for i in session.get_inputs()], [o.name for o in session.get_outputs()]
    return lambda arrays: dict(zip(names, session.run(names, {name: arrays[name] for name in taken})))
"""

    def write(self, graph: Graph, folder: Path, way: str) -> None:
        """Write `model.onnx`, with `model.onnx.data` beside it where one file cannot hold the weights."""
        _library("onnx")
        if way == "torch.export":
            _library("onnxscript")
        shapes: dict[str, Any] = {"dynamic_axes": {n: dict(a) for n, a in zip(graph.inputs, graph.axes) if a}}
        shapes["dynamic_axes"] |= {name: {0: "batch"} for name in graph.outputs}
        if way == "torch.export":
            shapes = {"dynamic_shapes": as_dynamic_shapes(graph), "external_data": _bytes(graph) > LARGEST}
        with naming_faults("ONNX"), quiet(), torch.no_grad():
            torch.onnx.export(
                graph.module,
                graph.example,
                str(folder / FILE),
                input_names=list(graph.inputs),
                output_names=list(graph.outputs),
                opset_version=self.opset,
                dynamo=way == "torch.export",
                verbose=False,
                **shapes,
            )

    def open(self, folder: Path, inputs: Sequence[str], outputs: Sequence[str]) -> Compute:
        """By ONNX Runtime on the CPU."""
        runtime = _library("onnxruntime")
        with naming_faults("ONNX Runtime"):
            options = runtime.SessionOptions()
            options.log_severity_level = 3
            session = runtime.InferenceSession(str(folder / FILE), options, providers=["CPUExecutionProvider"])
        taken, names = [i.name for i in session.get_inputs()], [o.name for o in session.get_outputs()]

        def compute(arrays: Arrays) -> Arrays:
            with naming_faults("ONNX Runtime"):
                return dict(zip(names, session.run(names, {name: arrays[name] for name in taken})))

        return compute

    def quantise(self, folder: Path, inputs: Iterable[Sequence[np.ndarray]], names: Sequence[str]) -> None:
        """By NNCF, as quantise-dequantise pairs of operators."""
        onnx = _library("onnx")
        model = onnx.load(str(folder / FILE))
        taken = {one.name for one in model.graph.input}
        batches = [{name: array for name, array in zip(names, batch) if name in taken} for batch in inputs]
        onnx.save(quantised(model, batches), str(folder / FILE))


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise CannotExport(f"{name} cannot be loaded ({error}): {INSTALL}") from error


def _bytes(graph: Graph) -> int:
    return sum(value.numel() * value.element_size() for value in graph.module.state_dict().values())
