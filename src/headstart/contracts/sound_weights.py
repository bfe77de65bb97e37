"""Weights that are not numbers: a model that holds NaN or infinity predicts nothing and is refused when read."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn


def unsound(module: nn.Module) -> str:
    """Describe the first unsound tensor of a module, by its name; empty where all are sound.

    Minus infinity is allowed in buffers, where it stands for what attention may not see.
    """
    for name, tensor, allowed in _tensors(module):
        if name.endswith("running_var") and bool((tensor < 0).any()):
            return f"'{name}' holds negative variances"
        if not tensor.is_floating_point() or bool(torch.isfinite(tensor).all()):
            continue
        if torch.isnan(tensor).any():
            return f"'{name}' holds NaN"
        if not allowed or bool(torch.isposinf(tensor).any()):
            return f"'{name}' holds infinite numbers"
    return ""


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor, bool]]:
    """Names, tensors, and whether minus infinity may be in them."""
    for name, parameter in module.named_parameters():
        yield name, parameter.detach(), False
    for name, buffer in module.named_buffers():
        yield name, buffer, not name.endswith(("running_mean", "running_var"))
