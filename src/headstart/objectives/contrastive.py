"""Contrastive: examples of a class are brought together and those of two apart, beside the task's own loss.

With s the cosine similarity of the pooled features of two examples, over all pairs of a batch,

    loss = task loss + weight * mean over i < j of (s_ij - y_ij)^2,   y_ij = 1 where both are of one class, else 0

The pairs are those of SetFit (Tunstall et al. 2022, "Efficient few-shot learning without prompts"), which makes many of
few labels: n examples are n (n - 1) / 2 pairs. There they are drawn and encoded one by one, and the head is fitted
afterwards; here each batch gives all of its pairs at once, and the head learns along, as Gunel et al. 2021 ("Supervised
contrastive learning for pre-trained language model fine-tuning") have it. Of mixed examples y is how far they share
classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from headstart.contracts.advice import Advice, DataFacts, Suggestion
from headstart.contracts.carriers import Batch
from headstart.contracts.objective import SOURCE, Objective, Step

LABEL = "label"
"""The target that is the class."""

FEW = 300
"""Examples up to which a search tries it."""


def _tries(facts: DataFacts) -> tuple[Suggestion, ...]:
    """Few texts of which each has one class."""
    if not (facts.one_class and facts.tokens and facts.examples <= FEW):
        return ()
    recipe = {"batch_size": 16, "learning_rate": 5e-5, "stage_decay": 1.0}
    return (Suggestion(0, "the pairs of few labelled texts are many", recipe),)


class Contrastive(Objective):
    """The task loss, and the similarity of pairs."""

    gathers: ClassVar[bool] = True
    of_classes: ClassVar[bool] = True
    advice: ClassVar[Advice] = Advice(_tries)

    weight: float = Field(default=1.0, gt=0)
    """Of the pairs beside the task's own loss; > 0."""

    def first_stage(self, stages: int) -> int:
        """A stage must move."""
        return stages - 1

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        """The task's terms, and "pairs" over the batch, each a scalar ()."""
        batch = step.batches[SOURCE]
        features = step.features(batch)
        vectors = nn.functional.normalize(step.gathered(features.pooled), dim=1)
        pairs = squared_errors(vectors @ vectors.T, sameness(step.gathered(_classes(batch))))
        return {**step.task_losses(step.outputs(features, batch), batch), "pairs": self.weight * pairs}


def squared_errors(similarity: Tensor, sameness: Tensor) -> Tensor:
    """The mean () over all pairs of different examples of matrices (batch, batch); 0 for a single example."""
    apart = 1 - torch.eye(len(similarity), device=similarity.device)
    return ((similarity - sameness).square() * apart).sum() / apart.sum().clamp(min=1)


def sameness(classes: Tensor) -> Tensor:
    """(batch, batch), in [0, 1]: how far two examples share classes, by those of `_classes` (batch, 3)."""
    own, other, share = classes.T
    named = torch.stack([own, other])
    shares = torch.stack([share, 1 - share])
    alike = (named[:, None, :, None] == named[None, :, None, :]) * shares[:, None, :, None] * shares[None, :, None, :]
    return alike.sum(dim=(0, 1))


def _classes(batch: Batch) -> Tensor:
    """(batch, 3) float: each example's class, that of what was mixed into it, and the share of its own."""
    own = batch.targets[LABEL].float()
    if batch.mixed is None:
        return torch.stack([own, own, torch.ones_like(own)], dim=1)
    share = torch.full_like(own, batch.mixed.weight)
    return torch.stack([own, batch.mixed.targets[LABEL].float(), share], dim=1)
