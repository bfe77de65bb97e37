"""Trace of a timm model's `forward_features`: its calls in order, and the points where a single tensor carries it all.

`torch.fx` (Reed et al. 2022) records the calls. Every module is a leaf save Sequential and ModuleList containers, so
the record holds whole blocks, which stay the model's own live modules.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn


@dataclass(frozen=True)
class Trace:
    """The calls of `forward_features` and what is known of each."""

    model: nn.Module
    nodes: tuple[fx.Node, ...]
    """The calls in order, without the input and the output."""
    free: frozenset[fx.Node]
    """Calls that do not depend on the input: reading a parameter and what follows from it. Segments repeat them."""
    carriers: tuple[fx.Node | None, ...]
    """Per position 0..len(nodes): the one result that later calls need there, None where there are several."""
    shapes: dict[fx.Node, tuple[int, ...]]
    """Shape of each tensor, from a dry run."""


def trace(model: nn.Module, example: Tensor) -> Trace | None:
    """Record `model.forward_features` and run it once on `example` (batch, 3, height, width).

    Returns None for a model whose Python code depends on the values it computes: such a model cannot be recorded.
    """
    try:
        graph = _Tracer().trace(model)
        shapes = _shapes(model, graph, example)
    except Exception:  # tracing runs the model's own code on stand-ins, which raises whatever that code raises
        return None
    everything = list(graph.nodes)
    start, nodes, end = everything[0], tuple(everything[1:-1]), everything[-1].args[0]
    if not isinstance(end, fx.Node):
        return None
    free = _free(nodes)
    return Trace(model, nodes, free, _carriers(start, nodes, end, free, shapes, len(example)), shapes)


class _Tracer(fx.Tracer):
    def __init__(self) -> None:
        super().__init__(autowrap_functions=())
        self.traced_func_name = "forward_features"

    def is_leaf_module(self, module: nn.Module, module_qualified_name: str) -> bool:  # noqa: ARG002
        return not isinstance(module, nn.Sequential | nn.ModuleList)

    def create_args_for_root(
        self,
        root_fn: Callable[..., Any],
        is_module: bool,  # noqa: ARG002
        concrete_args: Any = None,  # noqa: ARG002
    ) -> tuple[Callable[..., Any], list[Any]]:
        """Only the image is an input; optional arguments such as attention masks keep their defaults."""
        return root_fn, [self.root, self.create_proxy("placeholder", "hidden", (), {})]


class _Shapes(fx.Interpreter):
    def __init__(self, model: nn.Module, graph: fx.Graph) -> None:
        super().__init__(model, graph=graph)
        self.shapes: dict[fx.Node, tuple[int, ...]] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, Tensor):
            self.shapes[n] = tuple(result.shape)
        return result


def _shapes(model: nn.Module, graph: fx.Graph, example: Tensor) -> dict[fx.Node, tuple[int, ...]]:
    interpreter = _Shapes(model, graph)
    with torch.no_grad():
        interpreter.run(example.clone())
    return interpreter.shapes


def _free(nodes: tuple[fx.Node, ...]) -> frozenset[fx.Node]:
    free: set[fx.Node] = set()
    for node in nodes:
        follows = node.op in ("call_function", "call_method") and bool(node.all_input_nodes)
        if node.op == "get_attr" or (follows and free.issuperset(node.all_input_nodes)):
            free.add(node)
    return frozenset(free)


def _carriers(
    start: fx.Node,
    nodes: tuple[fx.Node, ...],
    end: fx.Node,
    free: frozenset[fx.Node],
    shapes: dict[fx.Node, tuple[int, ...]],
    batch: int,
) -> tuple[fx.Node | None, ...]:
    position = {node: i for i, node in enumerate(nodes)}
    # the output node counts as a user behind the last call
    last_use = {
        node: max((position.get(user, len(nodes)) for user in node.users), default=-1) for node in (start, *nodes)
    }
    found: list[fx.Node | None] = []
    live: list[fx.Node] = [start]
    for place in range(len(nodes) + 1):
        live = [node for node in live if last_use[node] >= place]
        one = live[0] if len(live) == 1 else None
        found.append(one if one is not None and shapes.get(one, (0,))[0] == batch else None)
        if place < len(nodes) and nodes[place] not in free:
            live.append(nodes[place])
    found[0], found[-1] = start, end
    return tuple(found)
