"""DANN: features from which a discriminator cannot tell the domains, by a reversed gradient.

Ganin et al. 2016 ("Domain-adversarial training of neural networks"). A discriminator D of the features f learns which
domain they are of, and what reaches f of its gradient is multiplied by -lambda:

    loss = task loss + weight * [mean -log D(f_s) + mean -log(1 - D(f_t))] / 2
    lambda = 2 / (1 + exp(-10 q)) - 1,   q the share of the training that lies behind

It gains where only the inputs look different. Under another mix of classes, or with classes that one domain lacks, it
brings together what does not belong together and costs accuracy. D's last sigmoid is part of the loss, so that sure
logits keep their gradient in any precision.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from headstart.contracts.objective import SOURCE, TARGET, Objective, Step
from headstart.objectives._adversary import discriminator, domain_loss, reversed_gradient, strength
from headstart.objectives._domains import supervised
from headstart.objectives._perceptron import embeddings


class DANN(Objective):
    """The task loss, and an adversary that tells the domains apart."""

    streams: ClassVar[tuple[str, ...]] = (SOURCE, TARGET)
    gathers: ClassVar[bool] = True

    weight: float = Field(default=1.0, gt=0)
    """Of the discriminator's loss beside the task's own; > 0."""
    hidden: int = Field(default=256, ge=1)
    """Width of the discriminator's two hidden layers; >= 1."""

    def first_stage(self, stages: int) -> int:
        """A stage must move, or a bottleneck."""
        return stages - 1

    def beside_head(self, width: int, outputs: int) -> Mapping[str, nn.Module]:  # noqa: ARG002
        """The discriminator."""
        return {"discriminator": discriminator(width, self.hidden)}

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        """The task's terms, and "domains", each a scalar ()."""
        found, losses = supervised(step)
        both = [found.features, step.features(step.batches[TARGET]).pooled]
        reversal = [reversed_gradient(pooled, strength(step.progress)) for pooled in both]
        source, target = (step.gathered(embeddings(step, "discriminator", one)[:, 0]) for one in reversal)
        domains = domain_loss(source, target, torch.ones_like(source), torch.ones_like(target))
        return {**losses, "domains": self.weight * domains}
