"""When a loss or a gradient is not finite: find where NaN or infinity first appeared, and say so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from headstart.contracts.model import Learner
from headstart.kernel.errors import TrainingError


class BrokenOffError(TrainingError):
    """A training cannot go on, in all its processes alike; what it has judged before is as good as ever."""


@dataclass
class Watch:
    """The first layers whose numbers were not finite; empty while there is none."""

    forward: str = ""
    """The first whose output was not, though its input was."""
    backward: str = ""
    """The first, going backwards, for whose output the gradient was not."""


@contextmanager
def watched(modules: Mapping[str, nn.Module]) -> Iterator[Watch]:
    """Watch the leaves of named modules while they run, forwards and backwards."""
    found = Watch()

    def watch(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def look(_: nn.Module, inputs: Any, output: Any) -> None:
            if not found.forward and _finite(inputs) and not _finite(output):
                found.forward = name
            for tensor in _tensors(output):
                if tensor.requires_grad:
                    tensor.register_hook(look_back)

        def look_back(gradient: Tensor) -> None:
            if not found.backward and not _finite(gradient):
                found.backward = name

        return look

    leaves = [(name, m) for name, m in modules.items() if not any(True for _ in m.children())]
    handles = [module.register_forward_hook(watch(name)) for name, module in leaves]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def modules_of(learner: Learner) -> dict[str, nn.Module]:
    """All modules by the names in which a user hears of them: 'backbone.layer1.0.conv1', 'head.head'."""
    parts = {"backbone": learner.backbone.module, "head": learner.heads, "addition": learner.additions}
    return {f"{part}.{name}": module for part, whole in parts.items() for name, module in whole.named_modules()}


def unsound_gradient(parameters: Mapping[str, nn.Parameter]) -> str:
    """The last of the parameters whose gradient is not finite; empty without one."""
    return next((name for name, p in reversed([*parameters.items()]) if p.grad is not None and not _finite(p.grad)), "")


def _finite(value: Any) -> bool:
    return all(bool(torch.isfinite(tensor).all()) for tensor in _tensors(value) if tensor.is_floating_point())


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors(item)
