"""CDAN+E: a discriminator that sees features and predicted classes together, and counts the sure examples more.

Long, Cao, Wang & Jordan 2018 ("Conditional adversarial domain adaptation"). As DANN, of f (x) p in place of f: the
products of each feature with each predicted probability, or, where these are more than 4096, a random projection
(R_f f) * (R_p p) / sqrt(m) with standard normal R_f, R_p that stay as they were drawn. Each example counts

    w = 1 + exp(-H(p)),   divided by its domain's mean

p and w take no gradient, as in the authors' later code. See `dann.py` for the reversal and its schedule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from headstart.contracts.objective import SOURCE, TARGET, Objective, Step
from headstart.objectives._adversary import discriminator, domain_loss, reversed_gradient, strength
from headstart.objectives._domains import Pass, run, supervised
from headstart.objectives._perceptron import embeddings

MOST_PRODUCTS = 4096
"""Products of features and classes beyond which they are projected, as in the paper."""


class CDAN(Objective):
    """The task loss, and an adversary that tells the domains apart given the predicted classes."""

    streams: ClassVar[tuple[str, ...]] = (SOURCE, TARGET)
    gathers: ClassVar[bool] = True
    of_classes: ClassVar[bool] = True

    weight: float = Field(default=1.0, gt=0)
    """Of the discriminator's loss beside the task's own; > 0."""
    hidden: int = Field(default=256, ge=1)
    """Width of the discriminator's two hidden layers; >= 1."""
    projected: int = Field(default=1024, ge=1)
    """Width of the random projection, where there is one; >= 1."""

    def first_stage(self, stages: int) -> int:
        """A stage must move, or a bottleneck."""
        return stages - 1

    def beside_head(self, width: int, outputs: int) -> Mapping[str, nn.Module]:
        """The discriminator, and the random projection, which is not trained."""
        if width * outputs <= MOST_PRODUCTS:
            return {"discriminator": discriminator(width * outputs, self.hidden), "products": _Products()}
        products = _Projected(width, outputs, self.projected)
        return {"discriminator": discriminator(self.projected, self.hidden), "products": products}

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        """The task's terms, and "domains", each a scalar ()."""
        found, losses = supervised(step)
        (source, of_source), (target, of_target) = (self._judged(step, one) for one in (found, run(step, TARGET)))
        return {**losses, "domains": self.weight * domain_loss(source, target, of_source, of_target)}

    def _judged(self, step: Step, found: Pass) -> tuple[Tensor, Tensor]:
        """The discriminator's logits (all,) of a stream, and the weights (all,)."""
        logs = found.logits.detach().log_softmax(dim=1)
        products: Any = step.additions["products"]
        joint = products(reversed_gradient(found.features, strength(step.progress)), logs.exp())
        sure = 1 + torch.exp((logs.exp() * logs).sum(dim=1))
        return step.gathered(embeddings(step, "discriminator", joint)[:, 0]), step.gathered(sure)


class _Products(nn.Module):
    """Each feature times each probability."""

    def forward(self, features: Tensor, p: Tensor) -> Tensor:
        """(batch, d), (batch, K) -> (batch, d K)"""
        return (features[:, :, None] * p[:, None, :]).flatten(1)


class _Projected(nn.Module):
    """Random projections of both, multiplied."""

    def __init__(self, width: int, classes: int, projected: int) -> None:
        super().__init__()
        self.register_buffer("of_features", torch.randn(width, projected))
        self.register_buffer("of_classes", torch.randn(classes, projected))
        self.scale = projected**-0.5

    def forward(self, features: Tensor, p: Tensor) -> Tensor:
        """(batch, d), (batch, K) -> (batch, projected)"""
        return (features @ self.get_buffer("of_features")) * (p @ self.get_buffer("of_classes")) * self.scale
