"""Parts of writing a graph that exporters share: sizes that vary, faults in words, and silence."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import torch

from headstart.contracts.exporter import CannotExport, Graph
from headstart.kernel.errors import first_line


def as_dynamic_shapes(graph: Graph) -> tuple[tuple[dict[int, object], ...]]:
    """The varying axes as `torch.export` takes them; the module's only parameter is a tuple of all its inputs."""
    auto = torch.export.Dim.AUTO
    return (tuple(dict.fromkeys(axes, auto) for axes in graph.axes),)


def exported_program(graph: Graph) -> torch.export.ExportedProgram:
    """The graph as a program of `torch.export`."""
    return torch.export.export(graph.module, graph.example, dynamic_shapes=as_dynamic_shapes(graph), strict=False)


@contextmanager
def naming_faults(runtime: str) -> Iterator[None]:
    """Every fault of a converter or runtime as CannotExport: they raise whatever an unknown operation makes them."""
    try:
        yield
    except CannotExport:
        raise
    except Exception as error:
        raise CannotExport(f"{runtime} does not take it: {type(error).__name__}: {first_line(error)[:300]}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Without what converters print and warn of."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
