"""OpenVINO: the graph as `model.xml` with the weights in `model.bin`, for Intel and ARM processors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from headstart.contracts.exporter import Arrays, CannotExport, Compute, Graph
from headstart.exporters._int8 import quantised
from headstart.exporters._tracing import exported_program, naming_faults, quiet
from headstart.kernel.openvino_library import core, library
from headstart.kernel.settings import Settings

FILE = "model.xml"


class OpenVinoFiles(Settings):
    """Writes OpenVINO's own format."""

    ways: ClassVar[tuple[str, ...]] = ("tracing", "torch.export")
    checker: ClassVar[str] = """def load(folder):
    import openvino
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(folder / "model.xml", "CPU", exact)
    taken, names = [i.any_name for i in model.inputs], [o.any_name for o in model.outputs]
    return lambda arrays: dict(zip(names, model({name: arrays[name] for name in taken}).values()))
"""

    def write(self, graph: Graph, folder: Path, way: str) -> None:
        """Write `model.xml` and `model.bin` in float32."""
        openvino = _library()
        shapes = [
            openvino.PartialShape([-1 if axis in free else size for axis, size in enumerate(value.shape)])
            for free, value in zip(graph.axes, graph.example)
        ]
        with naming_faults("OpenVINO"), quiet(), torch.no_grad():
            if way == "tracing":
                model = openvino.convert_model(graph.module, example_input=graph.example, input=shapes)
            else:
                model = openvino.convert_model(exported_program(graph))
            for ports, names in ((model.inputs, graph.inputs), (model.outputs, graph.outputs)):
                for port, name in zip(ports, names, strict=True):
                    port.get_tensor().set_names({name})
            openvino.save_model(model, folder / FILE, compress_to_fp16=False)

    def open(self, folder: Path, inputs: Sequence[str], outputs: Sequence[str]) -> Compute:
        """On the CPU, in float32 also where the processor has bfloat16."""
        _library()
        with naming_faults("OpenVINO"):
            exact = {"INFERENCE_PRECISION_HINT": "f32"}
            model = core().compile_model(folder / FILE, "CPU", exact)
        taken, names = [i.any_name for i in model.inputs], [o.any_name for o in model.outputs]

        def compute(arrays: Arrays) -> Arrays:
            with naming_faults("OpenVINO"):
                return dict(zip(names, model({name: arrays[name] for name in taken}).values()))

        return compute

    def quantise(self, folder: Path, inputs: Iterable[Sequence[np.ndarray]], names: Sequence[str]) -> None:
        """By NNCF."""
        openvino = _library()
        model = core().read_model(folder / FILE)
        taken = [one.any_name for one in model.inputs]
        batches = [{name: dict(zip(names, batch))[name] for name in taken} for batch in inputs]
        openvino.save_model(quantised(model, batches), folder / FILE, compress_to_fp16=False)


def _library() -> Any:
    try:
        return library()
    except ImportError as error:
        raise CannotExport(f'OpenVINO cannot be loaded ({error}): pip install "openvino>=2025"') from error
