"""Which stage owns a parameter, buffer or module of a recorded model, and what the stages are called."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise, takewhile

from torch import fx, nn

from headstart.backbones._fx_trace import Trace
from headstart.contracts.network import Stage


def has_weights(trace: Trace, node: fx.Node) -> bool:
    """Return whether the node calls a module with a weight matrix; normalisation has vectors only."""
    if node.op != "call_module":
        return False
    return any(weight.ndim > 1 for weight in trace.model.get_submodule(str(node.target)).parameters())


def stages_of(trace: Trace, places: Sequence[int]) -> tuple[Stage, ...]:
    """The stages between `places`, positions in the trace from 0 to its end. Every weight falls to exactly one."""
    owner: dict[str, int] = {}
    weighty: list[list[str]] = [[] for _ in places[1:]]
    for k, (start, stop) in enumerate(pairwise(places)):
        for node in trace.nodes[start:stop]:
            if node in trace.free:
                continue
            for used in (node, *_free_sources(trace, node)):
                if used.op in ("call_module", "get_attr"):
                    owner.setdefault(str(used.target), k)
            if has_weights(trace, node):
                weighty[k].append(str(node.target))
    model, count = trace.model, len(places) - 1
    parameters = _shared_out((name for name, _ in model.named_parameters()), owner, count)
    buffers = _shared_out((name for name, _ in model.named_buffers()), owner, count)
    modules = _shared_out(_outermost(model, owner), owner, count)
    return tuple(Stage(*of_stage) for of_stage in zip(_names(weighty), parameters, buffers, modules))


def whole_stage(model: nn.Module) -> Stage:
    """The one stage of a model that is not cut."""
    return Stage(
        "whole",
        tuple(name for name, _ in model.named_parameters()),
        tuple(name for name, _ in model.named_buffers()),
        tuple(name for name, _ in model.named_children()),
    )


def _shared_out(names: Iterable[str], owner: Mapping[str, int], count: int) -> list[tuple[str, ...]]:
    """Each name to the stage of the nearest enclosing module that is called; what never is falls to the last stage."""
    shares: list[list[str]] = [[] for _ in range(count)]
    for name in names:
        enclosing = name
        while enclosing and enclosing not in owner:
            enclosing = enclosing.rpartition(".")[0]
        shares[owner.get(enclosing, count - 1)].append(name)
    return [tuple(share) for share in shares]


def _free_sources(trace: Trace, node: fx.Node) -> list[fx.Node]:
    found: list[fx.Node] = []
    for source in node.all_input_nodes:
        if source in trace.free:
            found += [source, *_free_sources(trace, source)]
    return found


def _outermost(model: nn.Module, called: Collection[str]) -> list[str]:
    """Names of modules that cover the model without overlap and divide no module in `called`."""
    divided = {name.rsplit(".", depth)[0] for name in called for depth in range(1, name.count(".") + 1)}
    found: list[str] = []

    def visit(module: nn.Module, path: str) -> None:
        if path and path not in divided:
            found.append(path)
            return
        for name, child in module.named_children():
            visit(child, f"{path}.{name}" if path else name)

    visit(model, "")
    return found


def _names(weighty: Sequence[Sequence[str]]) -> list[str]:
    """The shortest path that holds all of a stage's modules and none of another's, else a range: 'blocks.3-4'."""
    if len(weighty) == 1:
        return ["whole"]
    names = []
    for k, targets in enumerate(weighty):
        others = [other for j, stage in enumerate(weighty) if j != k for other in stage]
        top = {target.split(".")[0] for target in targets}
        if k == 0 and not top & {other.split(".")[0] for other in others}:
            names.append("stem")
        else:
            names.append(_shortest(targets, others))
    return names


def _shortest(targets: Sequence[str], others: Sequence[str]) -> str:
    paths = [target.split(".") for target in targets]
    shared = [parts[0] for parts in takewhile(lambda parts: len(set(parts)) == 1, zip(*paths))]
    for depth in range(1, len(shared) + 1):
        head = shared[:depth]
        if all(other.split(".")[:depth] != head for other in others):
            return ".".join(head)
    first, last = (path[len(shared)] for path in (paths[0], paths[-1]))
    return ".".join([*shared, first if first == last else f"{first}-{last}"])
