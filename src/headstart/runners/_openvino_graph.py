"""Graphs of OpenVINO: converted from a segment, compiled for this processor, run from several threads."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from functools import cache
from importlib import import_module
from io import StringIO
from queue import SimpleQueue
from threading import Event, Lock
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.contracts.carriers import State
from headstart.contracts.runner import CannotRun
from headstart.kernel.openvino_library import core, library
from headstart.kernel.processor import cores
from headstart.runners._flat import Flat, Signature
from headstart.runners._kept_graphs import Graph, keep, kept

openvino = library()

CALIBRATED = 8
"""Inputs by which the ranges of int8 are found at a time."""

EXAMPLES = 2
"""How many rows a segment is traced with: more only take longer, and what a single one says of shapes may hold for it
alone."""

_CONVERTING = Lock()

_FIRST, _MADE = Lock(), Event()
"""OpenVINO makes tables at the first call of a process: two threads that meet there wait for each other for good."""


@cache
def has_bfloat16() -> bool:
    """Return whether the processor multiplies bfloat16 natively."""
    return "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def started(segment: nn.Module, example: State, precision: str, key: str | None) -> Execution:
    """The segment compiled for this processor, from disk where it is kept under `key`. Raises CannotRun."""
    settings = _settings(precision)
    name = f"{key} openvino {settings}" + (" int8" if precision == "int8" else "")
    found = kept(name) if key else None
    if found is not None:
        with suppress(RuntimeError):  # not a graph of this OpenVINO: made again
            return _loaded(found, settings)
    graph = _compiled(segment, example, settings, quantised=precision == "int8")
    if key:
        keep(name, graph)
    # read back from its bytes, so that it shares no memory with weights that may be trained later
    return _loaded(graph, settings)


def _loaded(graph: Graph, settings: dict[str, Any]) -> Execution:
    return Execution(core().import_model(graph.compiled, "CPU", settings), graph.signature)


def _compiled(segment: nn.Module, example: State, settings: dict[str, Any], *, quantised: bool) -> Graph:
    rows = torch.arange(EXAMPLES) % len(example.hidden)
    few = example.map(lambda value: value[rows])
    try:
        with _CONVERTING, torch.no_grad(), _quiet(), _traces_forgotten():
            signature = Signature.of(segment, few)
            shapes = [
                openvino.PartialShape([-1 if free else size for free, size in zip(axes, value.shape)])
                for axes, value in zip(signature.varying(few), signature.inputs(few))
            ]
            model = openvino.convert_model(Flat(segment, signature), example_input=signature.inputs(few), input=shapes)
            model = _quantised(model, signature.inputs(example)) if quantised else model
            compiled = core().compile_model(model, "CPU", settings)
            content = compiled.export_model().getvalue()
    except CannotRun:
        raise
    except Exception as error:  # the converter raises whatever an operation that it does not know makes it
        reason = str(error).strip().splitlines()
        raise CannotRun(f"OpenVINO cannot run it: {reason[-1] if reason else type(error).__name__}") from error
    return Graph(signature, content)


def _quantised(model: Any, inputs: Sequence[Tensor]) -> Any:
    """The model with convolutions and products in int8, its ranges those of some inputs."""
    try:
        nncf = library("nncf")
    except ImportError as error:
        raise CannotRun(f'int8 needs NNCF ({error}): pip install "headstart[int8]"') from error
    parts = [
        [value[start : start + CALIBRATED].numpy() for value in inputs]
        for start in range(0, len(inputs[0]), CALIBRATED)
    ]
    with redirect_stdout(StringIO()):  # its progress
        return nncf.quantize(model, nncf.Dataset(parts), preset=nncf.QuantizationPreset.MIXED, subset_size=len(parts))


@contextmanager
def _traces_forgotten() -> Iterator[None]:
    """PyTorch keeps the graph of every module that it has traced, tens of MB for a network; afterwards without these.

    All that this process has scripted would be forgotten with them: where there is something, all is kept.
    """
    recursive = import_module("torch.jit._recursive")
    store, state = getattr(recursive, "concrete_type_store", None), import_module("torch.jit._state")
    alone = not getattr(store, "methods_compiled", True) and not getattr(state, "_script_classes", True)
    try:
        yield
    finally:
        if alone:
            torch._C._jit_clear_class_registry()
            vars(recursive)["concrete_type_store"] = recursive.ConcreteTypeStore()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the tracer says of every shape that a model reads, and models of every property that it looks at."""
    root = logging.getLogger()
    disabled, level, filters, handlers = root.manager.disable, root.level, root.filters[:], root.handlers[:]
    logging.disable(max(disabled, logging.WARNING))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:  # a conversion that fails leaves its own settings behind
        root.setLevel(level)
        root.filters, root.handlers = filters, handlers
        logging.disable(disabled)


def _settings(precision: str) -> dict[str, Any]:
    """One stream per core up to four: streams wait for nothing, not even for the threads that decode."""
    streams = cores() if cores() <= 4 else "AUTO"
    half = precision == "bfloat16" or (precision == "int8" and has_bfloat16())
    return {
        "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
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
        if _MADE.is_set():
            return self._run(state)
        with _FIRST:
            found = self._run(state)
            _MADE.set()
            return found

    def _run(self, state: State) -> State:
        request = self._idle.get()
        try:
            inputs = [np.ascontiguousarray(value.numpy()) for value in self._signature.inputs(state)]
            found = request.infer(inputs, share_inputs=True, share_outputs=False)
            outputs = [_tensor(found[place]) for place in range(len(self._signature.outputs))]
        finally:
            self._idle.put(request)
        return self._signature.state(outputs, state)


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array if array.flags.writeable else array.copy())
