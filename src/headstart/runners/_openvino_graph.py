"""Graphs of OpenVINO: converted from a segment, compiled for this processor, run from several threads."""

from __future__ import annotations

import warnings
from functools import cache
from queue import SimpleQueue
from typing import Any

import numpy as np
import openvino
import torch
from torch import Tensor, nn

from headstart.contracts.carriers import LENGTH_MASK, State
from headstart.contracts.runner import CannotRun
from headstart.kernel.processor import cores
from headstart.runners._flat import Flat, Signature, padded
from headstart.runners._kept_graphs import Graph, keep, kept

LENGTHS = 16
"""Texts are padded to a multiple of so many tokens: each new shape costs OpenVINO some milliseconds."""

EXAMPLES = 2
"""How many of the example's rows a segment is traced with; more only take longer."""


@cache
def core() -> Any:
    """OpenVINO's entrance, one per process."""
    return openvino.Core()


@cache
def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 natively."""
    return "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def started(segment: nn.Module, example: State, precision: str, key: str | None) -> Execution:
    """The segment compiled for this processor, from disk where it is kept under `key`. Raises CannotRun."""
    settings = _settings(precision)
    named = key and f"{key} {openvino.__version__} {core().get_property('CPU', 'FULL_DEVICE_NAME')} {settings}"
    graph = kept(named) if named else None
    if graph is not None:
        try:
            return Execution(core().import_model(graph.compiled, "CPU", settings), graph.signature)
        except RuntimeError:  # of another build, or damaged: made again
            graph = None
    graph = _compiled(segment, example, settings)
    if named:
        keep(named, graph)
    # read back from its bytes, so that it shares no memory with weights that may be trained later
    return Execution(core().import_model(graph.compiled, "CPU", settings), graph.signature)


def _compiled(segment: nn.Module, example: State, settings: dict[str, Any]) -> Graph:
    few = State(example.hidden[:EXAMPLES], {name: value[:EXAMPLES] for name, value in example.context.items()})
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer warns of every shape that a model reads
            signature = Signature.of(segment, few)
            shapes = [
                openvino.PartialShape([-1 if free else size for free, size in zip(axes, value.shape)])
                for axes, value in zip(signature.varying(few), signature.inputs(few))
            ]
            model = openvino.convert_model(Flat(segment, signature), example_input=signature.inputs(few), input=shapes)
            compiled = core().compile_model(model, "CPU", settings)
            content = compiled.export_model().getvalue()
    except Exception as error:  # the converter raises whatever an operation that it does not know makes it
        reason = str(error).strip().splitlines()
        raise CannotRun(f"OpenVINO cannot run it: {reason[-1] if reason else type(error).__name__}") from error
    return Graph(signature, content)


def _settings(precision: str) -> dict[str, Any]:
    """One stream per core up to four: streams wait for nothing, not even for the threads that decode."""
    streams = cores() if cores() <= 4 else "AUTO"
    return {
        "INFERENCE_PRECISION_HINT": {"bfloat16": "bf16", "float32": "f32"}[precision],
        "NUM_STREAMS": str(streams),
        "INFERENCE_NUM_THREADS": str(cores()),
    }


class Execution:
    """A compiled graph with as many requests as it has streams."""

    def __init__(self, compiled: Any, signature: Signature) -> None:
        """Make its requests."""
        self.at_once = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._signature = signature
        self._idle: SimpleQueue[Any] = SimpleQueue()
        for _ in range(self.at_once):
            self._idle.put(compiled.create_infer_request())

    def __call__(self, state: State) -> State:
        """Run a batch."""
        given = state
        if LENGTH_MASK in state.context:
            given = padded(state, -state.context[LENGTH_MASK].shape[1] % LENGTHS)
        request = self._idle.get()
        try:
            inputs = [np.ascontiguousarray(value.numpy()) for value in self._signature.inputs(given)]
            found = request.infer(inputs, share_inputs=True, share_outputs=False)
            outputs = [_tensor(found[place]) for place in range(len(self._signature.outputs))]
        finally:
            self._idle.put(request)
        return self._signature.state(outputs, state)


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array if array.flags.writeable else array.copy())
