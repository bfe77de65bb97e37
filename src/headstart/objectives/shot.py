"""SHOT: the classifier is learnt from the source, then held still while the target's features move to where it is sure.

Liang, Hu & Feng 2020 ("Do we really need to access source data? Source hypothesis transfer for unsupervised domain
adaptation"). In the first part of the training the task's loss on the source; in the second, of the target alone,

    loss = mean H(p_i) - H(mean p) + weight * cross-entropy(y_i)

with p the probabilities, H the entropy, and y_i the class whose centroid is closest to the example's features by the
cosine. A centroid is the mean of the target's features weighted by the probability of the class; found again from the
labels y, it gives the final ones. The head takes no gradient there: the features of the target come to it.

Both parts are one training here, where the paper trains a source model first and never sees the source again.
Centroids are moving averages over batches, not of the whole target once or twice an epoch; the head is the task's own,
without weight normalisation or smoothed labels. -H(mean p) asks for classes in equal shares: under a strong shift of
their mix it does harm.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from headstart.contracts.domains import ShiftKind
from headstart.contracts.objective import SOURCE, TARGET, Objective, Step
from headstart.objectives._domains import supervised
from headstart.objectives._running import Running, running


class SHOT(Objective):
    """The task loss first; then information maximisation and centroids' labels for the target."""

    streams: ClassVar[tuple[str, ...]] = (SOURCE, TARGET)
    kinds: ClassVar[tuple[ShiftKind, ...]] = ("covariate", "concept", "support", "cannot tell")
    gathers: ClassVar[bool] = True
    of_classes: ClassVar[bool] = True

    weight: float = Field(default=0.3, ge=0)
    """Of the centroids' labels; >= 0."""
    begin: float = Field(default=0.5, gt=0, lt=1)
    """Share of the training after which the head is held still; in (0, 1)."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Of the centroids from batch to batch; in [0, 1)."""

    def first_stage(self, stages: int) -> int:
        """A stage must move, or a bottleneck."""
        return stages - 1

    def beside_head(self, width: int, outputs: int) -> Mapping[str, nn.Module]:
        """Sums of the target's features, (classes, width) and how much they count, (classes,)."""
        return {"running": Running({"sums": torch.zeros(outputs, width), "counts": torch.zeros(outputs)})}

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        """The task's terms, or "uncertainty", "sameness" and "own_labels"; each a scalar ()."""
        batch = step.batches[TARGET]
        found = None if step.progress < self.begin else step.features(batch)
        if found is None or not found.pooled.requires_grad:  # stages may begin to move later still
            return supervised(step)[1]
        with _still(step):
            logits = step.gathered(step.outputs(found, batch)["logits"])
        uncertainty, sameness = information(logits)
        own = nn.functional.cross_entropy(logits, self._labels(step, step.gathered(found.pooled), logits))
        return {"uncertainty": uncertainty, "sameness": sameness, "own_labels": self.weight * own}

    def after_step(self, step: Step) -> None:
        """Keep the centroids that the step was made with."""
        running(step).keep()

    @torch.no_grad()
    def _labels(self, step: Step, features: Tensor, logits: Tensor) -> Tensor:
        """(all,) int64; it proposes the sums with these examples."""
        held = running(step)
        before = [self.momentum * held.get_buffer(name) for name in ("sums", "counts")]
        p = logits.softmax(dim=1)
        soft = centroid_labels(features, p, *before)
        hard = nn.functional.one_hot(soft, p.shape[1]).to(p.dtype)
        held.propose({"sums": before[0] + hard.T @ features, "counts": before[1] + hard.sum(dim=0)})
        return centroid_labels(features, hard, *before)


def information(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean H(p_i) and -H(mean p) for logits (batch, classes), each a scalar ()."""
    logs = logits.log_softmax(dim=1)
    mean = logs.logsumexp(dim=0) - math.log(len(logits))
    return -(logs.exp() * logs).sum(dim=1).mean(), (mean.exp() * mean).sum()


def centroid_labels(features: Tensor, shares: Tensor, sums: Tensor, counts: Tensor) -> Tensor:
    """Return (batch,) the class whose centroid is closest by the cosine; those without an example are left out.

    Args:
        features: (batch, width). shares: (batch, classes), how far each is of each class.
        sums: (classes, width), of earlier features. counts: (classes,), how many they are.
    """
    counts = counts + shares.sum(dim=0)
    centroids = (sums + shares.T @ features) / counts.clamp(min=torch.finfo(shares.dtype).tiny)[:, None]
    cosines = nn.functional.normalize(features, dim=1) @ nn.functional.normalize(centroids, dim=1).T
    return cosines.masked_fill(counts == 0, -math.inf).argmax(dim=1)


@contextmanager
def _still(step: Step) -> Iterator[None]:
    """The head takes no gradient from what is computed meanwhile."""
    heads = [p for name, p in step.parameters.items() if name.startswith("heads.") and p.requires_grad]
    for parameter in heads:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in heads:
            parameter.requires_grad_(True)
