"""VICReg: two views of an input get like embeddings, whose features are kept from collapsing one by one.

Bardes, Ponce & LeCun 2022 ("VICReg: variance-invariance-covariance regularization for self-supervised learning"). For
embeddings z, z' (batch, d) of the two views, of an expander on the pooled features that is thrown away afterwards:

    loss = 25 mean |z - z'|^2 + 25 (v(z) + v(z')) / 2 + c(z) + c(z')
    v(z) = 1/d sum_j max(0, 1 - sqrt(Var(z_j) + 1e-4))        no feature may stand still
    c(z) = 1/d sum_{i != j} Cov(z)_ij^2                       no two may say the same

The means and weights are those of the authors' code. It needs no negatives, so that small batches do. The expander is
narrower than the paper's 8192, which costs little and saves most of its time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from headstart.contracts.advice import Advice
from headstart.contracts.network import Network
from headstart.contracts.objective import TARGET, TARGET_AGAIN, Objective, Step
from headstart.objectives._perceptron import embeddings, perceptron

EPSILON = 1e-4
"""Added to variances, so that the root of one of 0 has a gradient."""


class Vicreg(Objective):
    """Invariance between two views, variance and decorrelation of their embeddings."""

    streams: ClassVar[tuple[str, ...]] = (TARGET, TARGET_AGAIN)
    modalities: ClassVar[tuple[str, ...]] = ("image",)
    gathers: ClassVar[bool] = True
    advice: ClassVar[Advice] = Advice(augmentation="simclr")

    invariance: float = Field(default=25.0, ge=0)
    """Weight of the mean squared difference of the two embeddings; >= 0."""
    variance: float = Field(default=25.0, ge=0)
    """Weight of how far the features' standard deviations fall short of 1; >= 0."""
    covariance: float = Field(default=1.0, ge=0)
    """Weight of the squared covariances between features; >= 0."""
    width: int = Field(default=1024, ge=2)
    """Width of each of the expander's three layers; >= 2."""

    def first_stage(self, stages: int) -> int:
        """A stage must move."""
        return stages - 1

    def additions(self, backbone: Network) -> Mapping[str, nn.Module]:
        """The expander."""
        return {"expander": perceptron([backbone.width, self.width, self.width, self.width])}

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        """ "invariance", "variance" and "covariance", weighted, each a scalar ()."""
        pooled = (step.features(step.batches[name]).pooled for name in self.streams)
        one, other = (step.gathered(embeddings(step, "expander", vectors)) for vectors in pooled)
        return {
            "invariance": self.invariance * nn.functional.mse_loss(one, other),
            "variance": self.variance * (variance_shortfall(one) + variance_shortfall(other)) / 2,
            "covariance": self.covariance * (redundancy(one) + redundancy(other)),
        }


def variance_shortfall(vectors: Tensor) -> Tensor:
    """v of embeddings (batch, d), a scalar () in [0, 1]."""
    return nn.functional.relu(1 - torch.sqrt(vectors.var(dim=0) + EPSILON)).mean()


def redundancy(vectors: Tensor) -> Tensor:
    """c of embeddings (batch, d), a scalar () >= 0."""
    examples, width = vectors.shape
    centred = vectors - vectors.mean(dim=0)
    covariance = centred.T @ centred / (examples - 1)
    return (covariance.square().sum() - covariance.diagonal().square().sum()) / width
