"""BYOL: a network predicts, from one view of an input, what its own slow copy makes of another view.

Grill et al. 2020 ("Bootstrap your own latent"). With projections z of the network and z' of its copy (the target), and
a predictor q, for both orders of the two views:

    loss = |q(z1)/|q(z1)| - z2'/|z2'||^2 + |q(z2)/|q(z2)| - z1'/|z1'||^2  =  4 - 2 cos(q(z1), z2') - 2 cos(q(z2), z1')
    target <- m target + (1 - m) network,   m = 1 - (1 - m0) (cos(pi progress) + 1) / 2

No gradient reaches the target, and what keeps both from collapsing is that only the network has a predictor. It needs
no negatives. The paper trains with LARS and hidden layers of 4096; here AdamW moves it, like everything.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from headstart.contracts.advice import Advice
from headstart.contracts.carriers import Batch
from headstart.contracts.network import Network
from headstart.contracts.objective import TARGET, TARGET_AGAIN, Objective, Step
from headstart.objectives._perceptron import embeddings, perceptron


class Byol(Objective):
    """Agreement with a moving average of the network itself on another view."""

    streams: ClassVar[tuple[str, ...]] = (TARGET, TARGET_AGAIN)
    modalities: ClassVar[tuple[str, ...]] = ("image",)
    advice: ClassVar[Advice] = Advice(augmentation="simclr")

    momentum: float = Field(default=0.99, ge=0, lt=1)
    """Of the target at the beginning; it rises to 1 along half a cosine; in [0, 1)."""
    hidden: int = Field(default=1024, ge=1)
    """Width of the hidden layer of projector and predictor; >= 1."""
    width: int = Field(default=256, ge=1)
    """Width of the projections; >= 1."""

    def first_stage(self, stages: int) -> int:  # noqa: ARG002
        """The target is a copy of the whole backbone, and sees inputs."""
        return 0

    def additions(self, backbone: Network) -> Mapping[str, nn.Module]:
        """The projector, the predictor, and the target, which is not trained."""
        projector = perceptron([backbone.width, self.hidden, self.width])
        return {
            "projector": projector,
            "predictor": perceptron([self.width, self.hidden, self.width]),
            "target": _Target(backbone, projector),
        }

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        """ "agreement", a scalar () in [0, 8]."""
        views = [step.batches[name] for name in self.streams]
        projections = [embeddings(step, "projector", step.features(view).pooled) for view in views]
        one, other = (embeddings(step, "predictor", projection) for projection in projections)
        target: Any = step.additions["target"]
        target.rest_as(step.backbone.module)
        with torch.no_grad(), step.computing():
            of_one, of_other = (target(view).to(one.dtype) for view in views)
        return {"agreement": distance(one, of_other) + distance(other, of_one)}

    def after_step(self, step: Step) -> None:
        """Move the target towards the network."""
        slow = 1 - (1 - self.momentum) * (math.cos(math.pi * step.progress) + 1) / 2
        target: Any = step.additions["target"]
        target.follow(step.backbone.module, step.additions["projector"], slow)


def distance(predictions: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared distance () between vectors (batch, width) of both kinds, scaled to length 1; in [0, 4]."""
    return (2 - 2 * nn.functional.cosine_similarity(predictions, wanted, dim=1)).mean()


class _Target(nn.Module):
    """A copy of backbone and projector that takes no gradient."""

    def __init__(self, backbone: Network, projector: nn.Module) -> None:
        super().__init__()
        twin = copy.deepcopy(backbone)
        self.backbone, self.projector = twin.module, copy.deepcopy(projector)
        self.requires_grad_(False)
        self._features = twin.features
        self._segment = (twin.segment(0, len(twin.stages)),)  # in a tuple: its weights are those of the backbone

    def forward(self, batch: Batch) -> Tensor:
        """(batch, width)"""
        projection: Tensor = self.projector(self._features(self._segment[0](batch.state)).pooled)
        return projection

    def rest_as(self, network: nn.Module) -> None:
        """Evaluation mode wherever the network is in it: what is frozen there rests here."""
        for own, its in zip(self.backbone.modules(), network.modules(), strict=True):
            own.training = its.training

    @torch.no_grad()
    def follow(self, network: nn.Module, projector: nn.Module, slow: float) -> None:
        """Each parameter becomes slow * itself + (1 - slow) * the network's."""
        for own, its in ((self.backbone, network), (self.projector, projector)):
            for held, live in zip(own.parameters(), its.parameters(), strict=True):
                held.lerp_(live.to(held.device), 1 - slow)
