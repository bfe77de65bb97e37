"""SimCSE: a text is recognised by a second pass that other dropout has touched, among all texts of its batch.

Gao, Yao & Chen 2021 ("SimCSE: simple contrastive learning of sentence embeddings"), without labels. Each text goes
through the encoder twice, with dropout as the only difference. With h and h' what a layer g = tanh(W x + b), thrown
away afterwards, makes of the pooled features, and s the cosine similarity,

    loss = mean over i of -log( exp(s(h_i, h'_i) / t) / sum over j of exp(s(h_i, h'_j) / t) )

It works on encoders that know the language already, and draws its negatives from the whole batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from headstart.contracts.advice import Advice, Suggestion
from headstart.contracts.network import Network
from headstart.contracts.objective import TARGET, Objective, Step
from headstart.kernel.errors import TrainingError
from headstart.objectives._perceptron import embeddings


class SimCSE(Objective):
    """Two passes of a text are recognised among those of all others."""

    streams: ClassVar[tuple[str, ...]] = (TARGET,)
    modalities: ClassVar[tuple[str, ...]] = ("text",)
    gathers: ClassVar[bool] = True
    advice: ClassVar[Advice] = Advice(
        pretrains={"text": Suggestion(1, "the backbone hides no words, so texts are known again instead")},
        training={"epochs": 1, "batch_size": 64, "learning_rate": 3e-5},
    )

    temperature: float = Field(default=0.05, gt=0)
    """Divides the cosine similarities; the lower, the more the hardest negatives count; > 0."""

    def first_stage(self, stages: int) -> int:
        """A stage must move."""
        return stages - 1

    def additions(self, backbone: Network) -> Mapping[str, nn.Module]:
        """The layer g."""
        return {"projector": nn.Sequential(nn.Linear(backbone.width, backbone.width), nn.Tanh())}

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        """ "texts", a scalar (). Raises TrainingError where dropout makes no difference."""
        one, other = (step.features(step.batches[TARGET]).pooled for _ in range(2))
        if torch.equal(one, other) and _trains(step.backbone.module):
            raise TrainingError(
                f"simcse tells two passes of a text apart by dropout, and {step.backbone.name} has none. Use --set "
                "training.dropout=0.1, or --objective masked_tokens."
            )
        one, other = (step.gathered(embeddings(step, "projector", pooled)) for pooled in (one, other))
        return {"texts": recognition(one, other, self.temperature)}


def recognition(one: Tensor, other: Tensor, temperature: float) -> Tensor:
    """The loss () of embeddings (texts, width) of two passes, of any length."""
    one, other = (nn.functional.normalize(vectors, dim=1) for vectors in (one, other))
    return nn.functional.cross_entropy(one @ other.T / temperature, torch.arange(len(one), device=one.device))


def _trains(network: nn.Module) -> bool:
    return any(module.training for module in network.modules())
