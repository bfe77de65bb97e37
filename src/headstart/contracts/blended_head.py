"""Heads of several models whose answers are mixed with fixed weights: the head of a model of models.

    classes      log sum_m w_m softmax(z_m / T_m)
    label sets   logit of sum_m w_m sigmoid(z_m / T_m), label by label
    numbers      sum_m w_m z_m

z_m is what the head of model m makes of its own part of the features, see `contracts/several_backbones.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.head_shape import HeadShape, Narrow, shaped_head
from headstart.contracts.target_kinds import CLASS_IDS, LABEL_SETS, VALUES
from headstart.contracts.task import BoundTask
from headstart.contracts.task_capabilities import is_linear
from headstart.kernel.settings import Settings

Link = Literal["classes", "labels", "numbers"]
"""What answers are, which says how they are mixed."""


class Part(Settings):
    """The head of one of the models."""

    width: int = Field(ge=1, le=1_000_000)
    """Of its part of the features."""
    shape: HeadShape = HeadShape()


class Blended(Settings):
    """The shape of a head that mixes those of several models."""

    parts: tuple[Part, ...] = Field(min_length=2, max_length=100)

    @property
    def plain(self) -> bool:
        """Never the task's own head."""
        return False


def link_of(task: BoundTask) -> Link | None:
    """Return how answers of a task are mixed; None where they cannot be: its head is not one of pooled features."""
    if not is_linear(task) or task.needs.features != "pooled":
        return None
    links: dict[object, Link] = {CLASS_IDS: "classes", LABEL_SETS: "labels", VALUES: "numbers"}
    kind = task.target_kinds.get("label")
    return next((link for known, link in links.items() if known == kind), None)


def mixed(each: Tensor, weights: Tensor, link: Link) -> Tensor:
    """Mix answers (batch, models, outputs) with weights (models,): (batch, outputs), in the form that they have."""
    if link == "numbers":
        return torch.einsum("bmo,m->bo", each, weights)
    shares = weights.log()[None, :, None]
    if link == "classes":
        return (each.log_softmax(dim=-1) + shares).logsumexp(dim=1)
    taken, left = (nn.functional.logsigmoid(sign * each) + shares for sign in (1, -1))
    return taken.logsumexp(dim=1) - left.logsumexp(dim=1)


class Blend(nn.Module):
    """The heads of several models, mixed."""

    def __init__(
        self,
        widths: Sequence[int],
        heads: Sequence[nn.Module],
        link: Link,
        weights: Sequence[float] = (),
        temperatures: Sequence[float] = (),
    ) -> None:
        """Each head reads its own part of the features, these having `widths`; weights are equal unless given, and
        temperatures 1."""
        super().__init__()
        self.widths, self.link = tuple(widths), link
        self.heads = nn.ModuleList(heads)
        self.register_buffer("weights", torch.tensor(weights or [1 / len(heads)] * len(heads), dtype=torch.float32))
        self.register_buffer("temperatures", torch.tensor(temperatures or [1.0] * len(heads), dtype=torch.float32))

    def forward(self, pooled: Tensor) -> Tensor:
        """(batch, sum of widths) -> (batch, outputs), as one of the heads would give them."""
        parts = pooled.split(self.widths, dim=-1)
        each = torch.stack([head(part) for head, part in zip(self.heads, parts)], dim=1)
        return mixed(each / self.get_buffer("temperatures")[None, :, None], self.get_buffer("weights"), self.link)


def head_of(task: BoundTask, backbone: Backbone, shape: HeadShape | Blended) -> nn.Module:
    """Build a fresh head in that shape. Raises ValueError where the answers of the task cannot be mixed."""
    if isinstance(shape, HeadShape):
        return shaped_head(task, backbone, shape)
    link = link_of(task)
    if link is None:
        raise ValueError("its answers cannot be mixed")
    heads = [shaped_head(task, Narrow(part.width), part.shape) for part in shape.parts]
    return Blend([part.width for part in shape.parts], heads, link)
