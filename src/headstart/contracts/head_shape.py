"""The shape of a head of pooled features: its kind, whether it lies behind a bottleneck, and how many votes are mixed.

A saved model says the shape, so that its heads can be built again; without a word it is the task's own head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.baseline import FromScores
from headstart.contracts.features import MapShape
from headstart.contracts.head_kinds import Cosine, Mlp, Prototypes, StageSum
from headstart.contracts.network import Network
from headstart.contracts.objective import Objective
from headstart.contracts.task import BoundTask, FeatureSource
from headstart.contracts.task_capabilities import SeveralTasks, is_linear, one_class_each
from headstart.kernel import registry
from headstart.kernel.errors import SettingsError
from headstart.kernel.settings import Settings


class HeadShape(Settings):
    """Kind of a head, and additions around it."""

    kind: Literal["linear", "mlp", "cosine", "prototype", "stages"] = "linear"
    """'linear' or whatever else the task has; 'mlp'; 'cosine', 'prototype': angles or distances to a vector for each
    class; 'stages': a learnt sum over several stages of the backbone."""
    hidden: int = Field(default=512, ge=1, le=65_536)
    """Width of the hidden layers of 'mlp'; >= 1."""
    layers: int = Field(default=1, ge=1, le=16)
    """Hidden layers of 'mlp'; >= 1."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Share of the hidden activations of 'mlp' that are zeroed in training; in [0, 1)."""
    bottleneck: int = Field(default=0, ge=0, le=65_536)
    """Width of a trained layer between the pooled features and the head; 0 for none."""
    members: int = Field(default=1, ge=1, le=1_000)
    """Heads whose probabilities are averaged."""
    gated: bool = False
    """A linear classifier of the pooled features says how much each member counts; else they have fixed weights."""

    @model_validator(mode="after")
    def _read(self) -> Self:
        idle = [name for name in ("hidden", "layers", "dropout") if getattr(self, name) != _default(name)]
        if idle and self.kind != "mlp":
            raise ValueError(f"{idle[0]} would do nothing: it is of kind = mlp, and kind is {self.kind}")
        if self.bottleneck and self.kind == "stages":
            raise ValueError(
                f"bottleneck = {self.bottleneck} and kind = stages exclude one another: it mixes the stages"
            )
        if self.gated and self.members == 1:
            raise ValueError("gated would do nothing: it weighs several members, and members is 1")
        return self

    @property
    def plain(self) -> bool:
        """Return whether it is the task's own head with nothing around it."""
        return self == HeadShape()

    def described(self) -> str:
        """Return it in words, such as 'an mlp head'."""
        kind = f"{'an' if self.kind == 'mlp' else 'a'} {self.kind} head"
        behind = f" behind a bottleneck of {self.bottleneck}" if self.bottleneck else ""
        return f"{kind}{behind}{f', {self.members} of them' if self.members > 1 else ''}"

    def require(self, task: BoundTask) -> None:
        """Refuse a task that cannot have such a head. Raises SettingsError, which names both."""
        name, given = registry.name_of(task), "head settings" if self.kind == "linear" else f"head.kind = {self.kind}"
        if not self.plain and not (is_linear(task) and task.needs.features == "pooled"):
            raise SettingsError(
                f"{given}: the task {name} has a head of its own, which is not linear in pooled features. Leave "
                "--set head... out."
            )
        if (self.kind in ("cosine", "prototype") or self.members > 1) and not one_class_each(task):
            given = given if self.members == 1 else f"head.members = {self.members}"
            raise SettingsError(
                f"{given} needs examples that have one class each, and the task is {name}. Use head.kind = mlp, or "
                "leave it out."
            )


def _default(name: str) -> object:
    return HeadShape.model_fields[name].default


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
        shares = self.get_buffer("shares").log().expand(pooled.shape[0], -1)
        weights = shares if self.gate is None else self.gate(pooled).log_softmax(dim=-1)
        return (each + weights[:, :, None]).logsumexp(dim=1)


def shaped_head(task: BoundTask, backbone: FeatureSource, shape: HeadShape) -> nn.Module:
    """Build a fresh head of a task in that shape."""
    source = Narrow(shape.bottleneck) if shape.bottleneck else backbone
    members = [_of_kind(task, source, shape) for _ in range(shape.members)]
    plain = shape.members == 1 and not shape.gated
    head = members[0] if plain else Mixture(source.width, members, gated=shape.gated)
    return Bottleneck(backbone.width, shape.bottleneck, head) if shape.bottleneck else head


def _of_kind(task: BoundTask, source: FeatureSource, shape: HeadShape) -> nn.Module:
    if isinstance(task, SeveralTasks):
        return nn.ModuleList(_of_kind(part, source, shape) for part in task.tasks.values())
    if shape.kind == "mlp":
        return Mlp(source.width, shape.hidden, shape.layers, shape.dropout, task.head(Narrow(shape.hidden)))
    if shape.kind == "stages":
        own = source.stage_widths if isinstance(source, Backbone) else ()
        widths = own or (source.width,)
        return StageSum(widths, [task.head(Narrow(width)) for width in widths])
    head = task.head(source)
    if shape.kind == "linear":
        return head
    if not isinstance(head, nn.Linear):
        raise SettingsError(f"head.kind = {shape.kind} needs a linear head, and the task has a {type(head).__name__}")
    return Cosine(head) if shape.kind == "cosine" else Prototypes(head)


def additions_for(objective: Objective, backbone: Network, task: BoundTask, shape: HeadShape) -> dict[str, nn.Module]:
    """Make the modules that an objective trains beside a backbone and such a head."""
    outputs = task.outputs if isinstance(task, FromScores) and one_class_each(task) else 0
    beside = objective.beside_head(shape.bottleneck or backbone.width, outputs)
    of_tasks = objective.beside_tasks(tuple(task.tasks)) if isinstance(task, SeveralTasks) else {}
    return {**objective.additions(backbone), **beside, **of_tasks, **objective.between(backbone, outputs)}


@dataclass
class Narrow:
    """Output of a bottleneck, as a source of features."""

    width: int

    def maps(self) -> tuple[MapShape, ...]:
        """There are none."""
        return ()
