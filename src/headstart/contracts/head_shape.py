"""The shape of a head of pooled features: the task's own, one behind a bottleneck, or several whose votes are mixed.

A saved model says the shape, so that its heads can be built again; without a word it is the task's own head.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor, nn

from headstart.contracts.baseline import FromScores
from headstart.contracts.features import MapShape
from headstart.contracts.network import Network
from headstart.contracts.objective import Objective
from headstart.contracts.task import BoundTask, FeatureSource
from headstart.contracts.task_capabilities import one_class_each
from headstart.kernel.settings import Settings


class HeadShape(Settings):
    """Additions around the task's own head."""

    bottleneck: int = Field(default=0, ge=0, le=65_536)
    """Width of a trained layer between the pooled features and the head; 0 for none."""
    members: int = Field(default=1, ge=1, le=1_000)
    """Heads whose probabilities are averaged."""
    gated: bool = False
    """A linear classifier of the pooled features says how much each member counts; else they have fixed weights."""


class Bottleneck(nn.Module):
    """A trained layer, and a head that reads what comes out of it.

    LayerNorm keeps its scale, which losses that align domains would else shrink. BatchNorm would normalise batches of
    both domains by statistics of their mixture when the model predicts, or each part of a batch by its own.
    """

    def __init__(self, width: int, narrow: int, head: nn.Module) -> None:
        """`width` features come in, `narrow` come out, on which `head` is built."""
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(width, narrow), nn.LayerNorm(narrow))
        self.head = head

    def forward(self, pooled: Tensor) -> Tensor:
        """(batch, width) -> what the head gives."""
        found: Tensor = self.head(self.layer(pooled))
        return found


def proper(head: nn.Module) -> nn.Module:
    """Return the head without its bottleneck."""
    return head.head if isinstance(head, Bottleneck) else head


class Mixture(nn.Module):
    """Heads whose probabilities are averaged, with fixed weights or with those of a gate: (batch, classes) log p."""

    def __init__(self, width: int, members: list[nn.Module], *, gated: bool) -> None:
        """The gate reads `width` features."""
        super().__init__()
        self.members = nn.ModuleList(members)
        self.gate = nn.Linear(width, len(members)) if gated else None
        self.register_buffer("shares", torch.full((len(members),), 1 / len(members)))

    def forward(self, pooled: Tensor) -> Tensor:
        """(batch, width) -> (batch, classes), the logarithms of the mixed probabilities."""
        each = torch.stack([member(pooled).log_softmax(dim=-1) for member in self.members], dim=1)
        shares = self.get_buffer("shares").log().expand(len(pooled), -1)
        weights = shares if self.gate is None else self.gate(pooled).log_softmax(dim=-1)
        return (each + weights[:, :, None]).logsumexp(dim=1)


def shaped_head(task: BoundTask, backbone: FeatureSource, shape: HeadShape) -> nn.Module:
    """Build a fresh head of a task in that shape."""
    source = _Narrow(shape.bottleneck) if shape.bottleneck else backbone
    members = [task.head(source) for _ in range(shape.members)]
    plain = shape.members == 1 and not shape.gated
    head = members[0] if plain else Mixture(source.width, members, gated=shape.gated)
    return Bottleneck(backbone.width, shape.bottleneck, head) if shape.bottleneck else head


def additions_for(objective: Objective, backbone: Network, task: BoundTask, shape: HeadShape) -> dict[str, nn.Module]:
    """Make the modules that an objective trains beside a backbone and such a head."""
    outputs = task.outputs if isinstance(task, FromScores) and one_class_each(task) else 0
    beside = objective.beside_head(shape.bottleneck or backbone.width, outputs)
    return {**objective.additions(backbone), **beside}


@dataclass
class _Narrow:
    """Output of a bottleneck, as a source of features."""

    width: int

    def maps(self) -> tuple[MapShape, ...]:
        """There are none."""
        return ()
