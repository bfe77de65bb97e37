"""Self-training: the head's surest predictions for the target become labels, the same share of each class.

Zou, Yu, Vijaya Kumar & Wang 2018 ("Unsupervised domain adaptation for semantic segmentation via class-balanced
self-training"). Of the target's examples that are predicted as class k the share r with the highest probability are
taken: t_k is the probability that these exceed. A target example with probabilities p gets the label, if any,

    y = argmax_k p_k / t_k   where that is more than 1
    loss = task loss + weight * r' * sum over these of cross-entropy(y) / all target examples

r rises from `first` to `last` over the training, and r' is r / last. Taking shares of each class and not one threshold
for all keeps the easy classes from crowding out the hard ones. What else stands against confirming its own mistakes:
labels count little at the beginning, part of the target is never labelled, and the labelled source stays in each step.
Where the paper alternates between labelling all and training, here each batch is labelled as it comes, by thresholds
that are moving averages over batches.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from headstart.contracts.domains import ShiftKind
from headstart.contracts.objective import SOURCE, TARGET, Objective, Step
from headstart.objectives._domains import run, supervised
from headstart.objectives._running import Running, running


class SelfTraining(Objective):
    """The task loss, and that of class-balanced labels of the model's own for the target."""

    streams: ClassVar[tuple[str, ...]] = (SOURCE, TARGET)
    kinds: ClassVar[tuple[ShiftKind, ...]] = ("covariate", "concept", "support", "cannot tell")
    gathers: ClassVar[bool] = True
    of_classes: ClassVar[bool] = True

    weight: float = Field(default=1.0, gt=0)
    """Of the labels of its own beside the task's loss, at the end of the training; > 0."""
    first: float = Field(default=0.2, gt=0, le=1)
    """Share of each predicted class that is taken at the beginning; in (0, 1]."""
    last: float = Field(default=0.8, gt=0, le=1)
    """Share of each predicted class that is taken at the end; in (0, 1]."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Of the thresholds from batch to batch; in [0, 1)."""

    def beside_head(self, width: int, outputs: int) -> Mapping[str, nn.Module]:  # noqa: ARG002
        """The thresholds t_k, 1 for a class that has not been predicted yet."""
        return {"running": Running({"thresholds": torch.ones(outputs), "seen": torch.zeros(outputs)})}

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        """The task's terms, and "own_labels", each a scalar ()."""
        losses = supervised(step)[1]
        logits = step.gathered(run(step, TARGET).logits)
        share = self.first + (self.last - self.first) * step.progress
        p, held = logits.detach().softmax(dim=1), running(step)
        thresholds, seen = moved(held.get_buffer("thresholds"), held.get_buffer("seen"), p, share, self.momentum)
        held.propose({"thresholds": thresholds, "seen": seen})
        ratios, labels = (p / thresholds).max(dim=1)
        each = nn.functional.cross_entropy(logits, labels, reduction="none")
        return {**losses, "own_labels": self.weight * share / self.last * (each * (ratios > 1)).mean()}

    def after_step(self, step: Step) -> None:
        """Keep the thresholds that the step was made with."""
        running(step).keep()


def moved(thresholds: Tensor, seen: Tensor, p: Tensor, share: float, momentum: float) -> tuple[Tensor, Tensor]:
    """Move thresholds (classes,) by a batch of probabilities (batch, classes), of which a share is to exceed them.

    `seen` (classes,) is 1 for classes that were predicted in any batch. Returns both, after this one.
    """
    thresholds, seen = thresholds.clone(), seen.clone()
    sureness, predicted = p.max(dim=1)
    for number in predicted.unique().tolist():
        found = sureness[predicted == number].quantile(1 - share, interpolation="lower")
        slow = momentum * float(seen[number])
        thresholds[number] = slow * thresholds[number] + (1 - slow) * found
        seen[number] = 1.0
    return thresholds, seen
