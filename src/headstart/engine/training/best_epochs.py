"""The best epochs of a training by what they cost on validation, and the greedy soup of their weights.

Wortsman et al. 2022 ("Model soups"): in order of their cost, each epoch's weights join the average of those
taken so far, and stay where that lowers the cost of the average. The paper mixes several trainings by accuracy; these
are epochs of one, by the loss or what else the task is chosen by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

Weights = Mapping[str, Tensor]

SOUP = 3
"""How many epochs' weights may go into a soup; each is kept in memory and in the checkpoint."""


@dataclass(frozen=True)
class Kept:
    """The weights of an epoch."""

    epoch: int
    cost: float
    """On validation: the loss, or what else the task is chosen by."""
    weights: Weights


class BestEpochs:
    """The best epochs so far, the best first."""

    def __init__(self, most: int, *, latest: bool = False) -> None:
        """At most so many are kept; with `latest` the last epoch alone, whatever its cost."""
        self.most, self.latest = most, latest
        self.kept: list[Kept] = []

    def wants(self, cost: float) -> bool:
        """Return True where an epoch of this cost would be kept."""
        return self.latest or len(self.kept) < self.most or cost < self.kept[-1].cost

    def add(self, found: Kept) -> None:
        """Keep an epoch, in place of the worst; of equal ones the earlier stays ahead."""
        before = [] if self.latest else self.kept
        self.kept = sorted([*before, found], key=lambda kept: kept.cost)[: self.most]


class Soup(NamedTuple):
    """An average of epochs' weights."""

    epochs: tuple[int, ...]
    cost: float
    """On validation: the loss, or what else the task is chosen by."""
    weights: Weights


def greedy_soup(kept: Sequence[Kept], cost_of: Callable[[Weights], float]) -> Soup:
    """The greedy soup of epochs, best first, by `cost_of`, what weights cost on validation; no worse than the first."""
    first = kept[0]
    soup = Soup((first.epoch,), first.cost, first.weights)
    for candidate in kept[1:]:
        weights = _joined(soup.weights, candidate.weights, len(soup.epochs))
        cost = cost_of(weights)
        if cost < soup.cost:
            soup = Soup((*soup.epochs, candidate.epoch), cost, weights)
    return soup


def _joined(mean: Weights, other: Weights, members: int) -> dict[str, Tensor]:
    """The mean of `members` weights with one more; what is not a floating-point number stays as it is."""
    return {
        name: torch.lerp(value, other[name], 1 / (members + 1)) if value.is_floating_point() else value
        for name, value in mean.items()
    }
