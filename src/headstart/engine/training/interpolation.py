"""WiSE-FT: between the pretrained and the fine-tuned backbone lie better ones than either, in the wild above all.

Wortsman et al. 2022 ("Robust fine-tuning of zero-shot models"): backbone = (1 - alpha) pretrained + alpha fine-tuned.
The head is the fine-tuned one throughout, and alpha is chosen on validation, 1 being among the choices. Of a product
that is zero at the start, as LoRA's B A is, one factor goes back and the other stays: alpha B A = (alpha B) A.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

Weights = Mapping[str, Tensor]

BACKBONE = "backbone."
"""What the names of a backbone's weights begin with."""

ALPHAS = (0.8, 0.6, 0.4, 0.2, 0.0)
"""What is tried beside 1, in this order."""


class Interpolated(NamedTuple):
    """A point between the pretrained and the fine-tuned weights."""

    alpha: float
    """1 for the fine-tuned ones."""
    cost: float
    """On validation: the loss, or what else the task is chosen by."""
    weights: Weights


def best_interpolation(
    start: Weights,
    end: Weights,
    end_cost: float,
    cost_of: Callable[[Weights], float],
    goes_back: Callable[[str], bool] = lambda _: True,
) -> Interpolated:
    """The point with the lowest cost; the end itself unless another is better.

    Args:
        start: the pretrained weights, 'backbone.NAME' among them. end: the fine-tuned ones, which cost
            `end_cost`.
        cost_of: measures what weights cost on validation.
        goes_back: `Recipe.goes_back`.
    """
    best = Interpolated(1.0, end_cost, end)
    for alpha in ALPHAS:
        weights = between(start, end, alpha, goes_back)
        cost = cost_of(weights)
        if cost < best.cost:
            best = Interpolated(alpha, cost, weights)
    return best


def between(
    start: Weights, end: Weights, alpha: float, goes_back: Callable[[str], bool] = lambda _: True
) -> dict[str, Tensor]:
    """(1 - alpha) start + alpha end for what goes back of the backbone, the end for everything else."""

    def moves(name: str) -> bool:
        return name.startswith(BACKBONE) and end[name].is_floating_point() and goes_back(name.removeprefix(BACKBONE))

    return {name: torch.lerp(start[name], value, alpha) if moves(name) else value for name, value in end.items()}
