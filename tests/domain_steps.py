"""A step of `fit` on rows of two domains as an objective sees it, in float64; the features are the rows themselves."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from headstart.contracts.carriers import Batch, State
from headstart.contracts.features import Features
from headstart.contracts.objective import SOURCE, TARGET, Step

WIDTH, CLASSES = 3, 4


class Rows(NamedTuple):
    """Leaves that gradients are taken by."""

    source: Tensor
    target: Tensor
    weight: Tensor
    """(CLASSES, WIDTH) of the head."""
    labels: Tensor

    def logits(self, features: Tensor) -> Tensor:
        return features @ self.weight.T

    def leaves(self) -> list[Tensor]:
        return [self.source, self.target, self.weight]


def rows(seed: int = 0, sources: int = 7, targets: int = 5) -> Rows:
    """Domains of unequal sizes, apart by a shift."""
    draws = torch.Generator().manual_seed(seed)
    made = [torch.randn(n, WIDTH, generator=draws, dtype=torch.float64) for n in (sources, targets, CLASSES)]
    source, target, weight = (value + shift for value, shift in zip(made, (0.0, 0.8, 0.0)))
    labels = torch.arange(sources) % CLASSES
    return Rows(*(value.requires_grad_() for value in (source, target, weight)), labels)


def step_on(objective: Any, given: Rows, progress: float = 0.3) -> Step:
    """The step with the objective's own additions, drawn from one seed."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        additions = nn.ModuleDict(dict(objective.beside_head(WIDTH, CLASSES))).double()
    batches = {
        SOURCE: Batch(State(given.source), {"label": given.labels}, torch.arange(len(given.source))),
        TARGET: Batch(State(given.target), {}, torch.arange(len(given.target))),
    }
    backbone: Any = SimpleNamespace(width=WIDTH)
    parameters: Any = {"heads.head.weight": given.weight}
    return Step(
        batches,
        lambda batch: Features(batch.state.hidden),
        backbone,
        lambda features, batch: {"logits": given.logits(features.pooled)},
        lambda outputs, batch: {"task": nn.functional.cross_entropy(outputs["logits"], batch.targets["label"])},
        additions,
        progress,
        parameters,
    )
