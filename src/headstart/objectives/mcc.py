"""Minimum class confusion: the head should not hold two classes of the target for possible at once.

Jin, Wang, Long & Wang 2020 ("Minimum class confusion for versatile domain adaptation"). With p = softmax(logits / T)
of the target's batch (B, K), H_i the entropy of row i and w_i = B (1 + exp(-H_i)) / sum_j (1 + exp(-H_j)),

    C = p^T diag(w) p,   each row divided by its sum
    loss = task loss + weight * (sum C - trace C) / K

No features are aligned, so that it takes another mix of classes or missing ones better than adversaries do, and a
linear head is enough. As in the authors' code the weights w take no gradient.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from headstart.contracts.domains import ShiftKind
from headstart.contracts.objective import SOURCE, TARGET, Objective, Step
from headstart.objectives._domains import run, supervised


class MCC(Objective):
    """The task loss, and the confusion of classes in the target."""

    streams: ClassVar[tuple[str, ...]] = (SOURCE, TARGET)
    kinds: ClassVar[tuple[ShiftKind, ...]] = ("covariate", "concept", "support", "cannot tell")
    gathers: ClassVar[bool] = True
    of_classes: ClassVar[bool] = True

    weight: float = Field(default=1.0, gt=0)
    """Of the confusion beside the task's own loss; > 0."""
    temperature: float = Field(default=2.5, gt=0)
    """By which the target's logits are divided: a head that is too sure of itself shows no confusion; > 0."""

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        """The task's terms, and "confusion", each a scalar ()."""
        _, losses = supervised(step)
        logits = step.gathered(run(step, TARGET).logits)
        return {**losses, "confusion": self.weight * confusion(logits / self.temperature)}


def confusion(logits: Tensor) -> Tensor:
    """Return what is off the diagonal of C for logits (batch, classes), divided by the classes: a scalar in [0, 1]."""
    logs = logits.log_softmax(dim=1)
    p = logs.exp()
    certainty = 1 + torch.exp((p * logs).sum(dim=1).detach())
    weights = certainty * len(p) / certainty.sum()
    together = (p * weights[:, None]).T @ p
    together = together / together.sum(dim=1, keepdim=True).clamp(min=torch.finfo(p.dtype).tiny)
    return (together.sum() - together.trace()) / p.shape[1]
