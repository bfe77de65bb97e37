"""A discriminator of domains, and the reversal of its gradient on the way to the features."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn


class _Reversal(torch.autograd.Function):
    """The identity, whose gradient is multiplied by -strength."""

    @staticmethod
    def forward(context: Any, features: Tensor, strength: float) -> Tensor:
        context.strength = strength
        return features.view_as(features)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -context.strength * gradients[0], None


def reversed_gradient(features: Tensor, strength: float) -> Tensor:
    """Return the features (...) as they are; what flows back is multiplied by -strength."""
    found: Tensor = _Reversal.apply(features, strength)
    return found


def strength(progress: float) -> float:
    """Return 2 / (1 + exp(-10 q)) - 1 for the share q of the training that lies behind: from 0 to 1."""
    return 2 / (1 + math.exp(-10 * progress)) - 1


def discriminator(width: int, hidden: int) -> nn.Sequential:
    """(batch, width) -> (batch, 1), the logit of the source: two hidden layers, as in the paper, without BatchNorm,
    whose statistics of a batch would mix the domains."""
    first, second = nn.Linear(width, hidden), nn.Linear(hidden, hidden)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Linear(hidden, 1))


def domain_loss(source: Tensor, target: Tensor, of_source: Tensor, of_target: Tensor) -> Tensor:
    """Return the cross-entropy () of logits (batch,) of either domain, each domain's weighted mean counting half."""
    found, missed = nn.functional.softplus(-source), nn.functional.softplus(target)
    return (of_source @ found / of_source.sum() + of_target @ missed / of_target.sum()) / 2
