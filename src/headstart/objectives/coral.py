"""Deep CORAL: the features of both domains get the same covariances.

Sun & Saenko 2016 ("Deep CORAL: correlation alignment for deep domain adaptation"). With C_s and C_t the covariances
(d, d) of the features of a batch of either domain,

    loss = task loss + weight * ||C_s - C_t||_F^2 / (4 d^2)

The paper aligns the outputs of the last layer; here it is the features that the head reads. Means are left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field
from torch import Tensor

from headstart.contracts.objective import SOURCE, TARGET, Objective, Step
from headstart.objectives._domains import aligned


class Coral(Objective):
    """The task loss, and the distance of the domains' covariances."""

    streams: ClassVar[tuple[str, ...]] = (SOURCE, TARGET)
    gathers: ClassVar[bool] = True

    weight: float = Field(default=1.0, gt=0)
    """Of the distance beside the task's own loss; > 0."""

    def first_stage(self, stages: int) -> int:
        """A stage must move, or a bottleneck."""
        return stages - 1

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        """The task's terms, and "covariances", each a scalar ()."""
        source, target, losses = aligned(step)
        return {**losses, "covariances": self.weight * distance(source, target)}


def distance(source: Tensor, target: Tensor) -> Tensor:
    """Return ||C_s - C_t||_F^2 / (4 d^2) of features (batch, d) of two domains, a scalar ()."""
    return (_covariance(source) - _covariance(target)).square().sum() / (4 * source.shape[1] ** 2)


def _covariance(features: Tensor) -> Tensor:
    centred = features - features.mean(dim=0)
    return centred.T @ centred / max(1, len(features) - 1)
