"""The small networks that self-supervised objectives put on top of pooled features, and throw away afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from headstart.contracts.objective import Step


def perceptron(widths: Sequence[int]) -> nn.Sequential:
    """(batch, widths[0]) -> (batch, widths[-1]): linear layers, BatchNorm and ReLU between each and the next.

    A layer before BatchNorm has no bias, which that would take away again.
    """
    layers: list[nn.Module] = []
    for before, after in pairwise(widths[:-1]):
        layers += [nn.Linear(before, after, bias=False), nn.BatchNorm1d(after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1]))


def embeddings(step: Step, addition: str, vectors: Tensor) -> Tensor:
    """Run an addition on (batch, width), in the training's precision; return (batch, ...) in the vectors' own type."""
    with step.computing():
        found: Tensor = step.additions[addition](vectors)
    return found.to(vectors.dtype)
