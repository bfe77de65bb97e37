"""Where a transformers model can be cut: at the inputs of its layers, found without knowing the family.

The layers are the one ModuleList of `config.num_hidden_layers` modules of a kind. Boundary 0 is the token numbers,
boundary 1 + k the input of layer k, and the last one the model's output.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from headstart.contracts.carriers import State
from headstart.contracts.network import Stage

CONTEXT = ("attention_mask", "token_type_ids")
"""What of a state's context the models take."""


@dataclass(frozen=True)
class Layers:
    """The list of layers of a model."""

    path: str
    """Name of the ModuleList in the model."""
    answers: tuple[int, ...]
    """Per layer: 0 where it returns the hidden tensor, else the length of the tuple of which that is the first."""


def call(model: nn.Module, ids: Tensor, context: Mapping[str, Tensor]) -> Tensor:
    """The model's last hidden state (batch, length, width)."""
    hidden: Tensor = model(input_ids=ids, **{name: context[name] for name in CONTEXT if name in context})[0]
    return hidden


def propose(model: nn.Module, count: int | None, example: State) -> tuple[Layers | None, tuple[Stage, ...]]:
    """The layers and the stages they make; no layers and one stage where the model has no such list.

    A module outside the list belongs to the stage during which it is first called, and to the first when it never is.

    Args:
        model: the transformers model.
        count: how many layers its configuration names.
        example: a prepared batch.
    """
    path = _find(model, count)
    trace = None if path is None else _traced(model, path, example)
    if path is None or trace is None:
        return None, _stages(model, ["whole"], {name: 0 for name, _ in model.named_children()})
    layers = range(len(trace.answers))
    owner = {name: trace.first_use.get(name, 0) for name in around(model, path)}
    owner |= {f"{path}.{k}": k + 1 for k in layers}
    stages = _stages(model, ["embeddings", *(f"layer.{k}" for k in layers)], owner)
    return Layers(path, tuple(trace.answers)), stages


def around(model: nn.Module, path: str) -> list[str]:
    """The outermost modules that are neither above the list nor in it."""
    parts = path.split(".")
    above = [".".join(parts[:depth]) for depth in range(len(parts) + 1)]
    children = [
        f"{parent}.{name}".lstrip(".")
        for parent in above[:-1]
        for name, _ in model.get_submodule(parent).named_children()
    ]
    return [name for name in children if name not in above]


@dataclass
class _Trace:
    """Record of one pass through the model."""

    answers: list[int] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    first_use: dict[str, int] = field(default_factory=dict)
    """Outermost module around the list -> how many layers had been called before it."""
    odd: bool = False


def _traced(model: nn.Module, path: str, example: State) -> _Trace | None:
    """Watch a pass; None unless each layer is called once, in order, on one (batch, length, width) tensor."""
    trace = _Trace()
    layers = {layer: k for k, layer in enumerate(model.get_submodule(path).children())}
    owner = {part: unit for unit in around(model, path) for part in model.get_submodule(unit).modules()}

    def before_layer(layer: nn.Module, args: Any, kwargs: Any) -> None:
        hidden = args[0] if args else kwargs.get("hidden_states")
        trace.odd |= not isinstance(hidden, Tensor) or hidden.dim() != 3 or hidden.shape[:2] != example.hidden.shape
        trace.calls.append(layers[layer])

    def after_layer(_layer: nn.Module, _args: Any, output: Any) -> None:
        parts = output if isinstance(output, tuple) else (output,)
        trace.odd |= not isinstance(parts[0], Tensor) or any(part is not None for part in parts[1:])
        trace.answers.append(len(parts) if isinstance(output, tuple) else 0)

    def before_other(part: nn.Module, _args: Any) -> None:
        trace.first_use.setdefault(owner[part], len(trace.calls))

    with _hooks() as hooks, torch.no_grad():
        for layer in layers:
            hooks.append(layer.register_forward_pre_hook(before_layer, with_kwargs=True))
            hooks.append(layer.register_forward_hook(after_layer))
        hooks.extend(part.register_forward_pre_hook(before_other) for part in owner)
        call(model, example.hidden, example.context)
    return None if trace.odd or trace.calls != list(range(len(layers))) else trace


@contextmanager
def _hooks() -> Iterator[list[Any]]:
    handles: list[Any] = []
    try:
        yield handles
    finally:
        for handle in handles:
            handle.remove()


def _find(model: nn.Module, count: int | None) -> str | None:
    """The outermost ModuleList of `count` modules of one class."""
    found = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == count and len({type(part) for part in module}) == 1
    ]
    return min(found, key=lambda name: name.count("."), default=None)


def _stages(model: nn.Module, names: list[str], owner: Mapping[str, int]) -> tuple[Stage, ...]:
    """Every weight and buffer to the stage of the module in `owner` that holds it; to the first where none does."""

    def shares(found: Iterable[str]) -> list[tuple[str, ...]]:
        stage_of = {
            name: next((k for unit, k in owner.items() if f"{name}.".startswith(f"{unit}.")), 0) for name in found
        }
        return [tuple(name for name, k in stage_of.items() if k == number) for number in range(len(names))]

    parameters = shares(name for name, _ in model.named_parameters())
    buffers = shares(name for name, _ in model.named_buffers())
    return tuple(Stage(*of_stage) for of_stage in zip(names, parameters, buffers, shares(owner), strict=True))
