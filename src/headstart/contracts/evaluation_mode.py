"""Evaluation mode without touching what is in it already: `nn.Module.eval` takes milliseconds for a deep network."""

from __future__ import annotations

from torch import nn


def evaluation_mode(module: nn.Module) -> None:
    """Switch a module, and every module within it, to evaluation mode."""
    for part in module.modules():
        if part.training:
            part.eval()
