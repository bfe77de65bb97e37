"""Losses over class maps: cross-entropy, soft Dice, focal Tversky, and sums of them by name.

With p the softmax probabilities, g the truth as 0 and 1, and sums over all pixels of the batch whose class is known:

- `cross_entropy`: the mean of -log p[true class].
- `dice` (Milletari et al. 2016, with the plain instead of the squared denominator of Sudre et al. 2017):
  1 - mean over classes of (2 sum(p g) + 1) / (sum(p) + sum(g) + 1).
- `focal_tversky` (Abraham & Khan 2019): mean over classes of (1 - T)^(3/4) with
  T = (sum(p g) + 1) / (sum(p g) + 0.7 sum((1 - p) g) + 0.3 sum(p (1 - g)) + 1): missed pixels cost more than false.

The background is not a class of `dice` and `focal_tversky`: its overlap is large whatever is predicted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from headstart.contracts.targets import PADDED_TARGET

SMOOTH = 1.0
"""Pixels added above and below, so that a class that is nowhere counts as found."""
MISSED, FALSE, EXPONENT = 0.7, 0.3, 0.75


@dataclass(frozen=True)
class Loss:
    """A loss as a function of sums over pixels, which those of the parts of a batch add up to."""

    sums: Callable[[Tensor, Tensor, Sequence[int]], Tensor]
    """(logits, target, classes that overlap is measured of) -> the sums of each kind, (kinds,) or (kinds, classes)."""
    of: Callable[[Tensor], Tensor]
    """Sums -> the loss ()."""

    def __call__(self, logits: Tensor, target: Tensor, classes: Sequence[int]) -> Tensor:
        """() from logits (batch, classes, height, width) and target (batch, height, width), over the given classes."""
        return self.of(self.sums(logits, target, classes))


def _cross_entropies(logits: Tensor, target: Tensor, classes: Sequence[int]) -> Tensor:  # noqa: ARG001
    total = functional.cross_entropy(logits, target, ignore_index=PADDED_TARGET, reduction="sum")
    return torch.stack([total, (target != PADDED_TARGET).sum().to(total.dtype)])


def _mean(sums: Tensor) -> Tensor:
    total, known = sums
    return total / known.clamp(min=1)


def _overlaps(logits: Tensor, target: Tensor, classes: Sequence[int]) -> Tensor:
    probability, truth = _flat(logits, target, classes)
    return torch.stack([(probability * truth).sum(dim=1), probability.sum(dim=1) + truth.sum(dim=1)])


def _dice(sums: Tensor) -> Tensor:
    both, either = sums
    return (1 - (2 * both + SMOOTH) / (either + SMOOTH)).mean()


def _faults(logits: Tensor, target: Tensor, classes: Sequence[int]) -> Tensor:
    probability, truth = _flat(logits, target, classes)
    missed, false = ((1 - probability) * truth).sum(dim=1), (probability * (1 - truth)).sum(dim=1)
    return torch.stack([(probability * truth).sum(dim=1), missed, false])


def _focal_tversky(sums: Tensor) -> Tensor:
    both, missed, false = sums
    index = (both + SMOOTH) / (both + MISSED * missed + FALSE * false + SMOOTH)
    # the root has no slope at 0, where everything is right
    return (1 - index).clamp(min=1e-7).pow(EXPONENT).mean()


LOSSES = {
    "cross_entropy": Loss(_cross_entropies, _mean),
    "dice": Loss(_overlaps, _dice),
    "focal_tversky": Loss(_faults, _focal_tversky),
}


def _flat(logits: Tensor, target: Tensor, classes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Probabilities and truth of the classes, (classes, pixels whose class is known)."""
    known = (target != PADDED_TARGET).flatten()
    probability = logits.float().softmax(dim=1)[:, list(classes)].transpose(0, 1).flatten(1)[:, known]
    numbers = torch.as_tensor(list(classes), device=target.device)
    return probability, (target.flatten()[known] == numbers[:, None]).to(probability.dtype)
