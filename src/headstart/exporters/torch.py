"""PyTorch: the graph as an exported program `model.pt2`, which runs without Headstart, timm or transformers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from headstart.contracts.exporter import Arrays, CannotExport, Compute, Graph
from headstart.exporters._tracing import exported_program, naming_faults, quiet
from headstart.kernel.settings import Settings

FILE = "model.pt2"


class TorchProgram(Settings):
    """Writes a program of `torch.export`."""

    ways: ClassVar[tuple[str, ...]] = ("torch.export",)
    checker: ClassVar[str] = """def load(folder):
    import torch
    ports = json.loads((folder / "export.json").read_text())
    module = torch.export.load(folder / "model.pt2").module()
    def compute(arrays):
        found = module(*[torch.from_numpy(arrays[port["name"]].copy()) for port in ports["inputs"]])
        return {port["name"]: value.detach().numpy() for port, value in zip(ports["outputs"], found)}
    return compute
"""

    def write(self, graph: Graph, folder: Path, way: str) -> None:
        """Write `model.pt2`."""
        with naming_faults("torch.export"), quiet(), torch.no_grad():
            torch.export.save(exported_program(graph), folder / FILE)

    def open(self, folder: Path, inputs: Sequence[str], outputs: Sequence[str]) -> Compute:
        """By plain PyTorch on the CPU."""
        with naming_faults("torch.export"), quiet():
            module = torch.export.load(folder / FILE).module()

        def compute(arrays: Arrays) -> Arrays:
            with naming_faults("torch.export"), torch.no_grad():
                found = module(*[torch.from_numpy(np.array(arrays[name])) for name in inputs])
            return {name: value.numpy() for name, value in zip(outputs, found)}

        return compute

    def quantise(self, folder: Path, inputs: Iterable[Sequence[np.ndarray]], names: Sequence[str]) -> None:
        """Raises CannotExport: int8 is for the other runtimes."""
        raise CannotExport("int8 is exported to openvino or onnx; PyTorch's program stays in float32")
