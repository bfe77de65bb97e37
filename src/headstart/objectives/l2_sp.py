"""L2-SP: the backbone is held to its pretrained weights, its starting point, instead of to zero.

Li, Grandvalet & Davoine 2018 ("Explicit inductive bias for transfer learning with convolutional networks"):

    loss = task loss + alpha / 2 ||w - w0||^2 + beta / 2 ||w_head||^2

w are the backbone's weights that move, w0 their pretrained values. It takes the place of weight decay, which would pull
the backbone to zero at the same time: use it with `--set tuning.weight_decay=0`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from headstart.contracts.objective import Objective, Step


class L2SP(Objective):
    """The task loss, and the squared distance from the pretrained weights."""

    anchored: ClassVar[bool] = True

    alpha: float = Field(default=0.01, gt=0)
    """Weight of the backbone's squared distance from its pretrained weights; > 0."""
    beta: float = Field(default=0.01, ge=0)
    """Weight of the head's squared norm; >= 0."""

    def first_stage(self, stages: int) -> int:
        """A pretrained stage must move."""
        return stages - 1

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        """The task's terms, "distance" and "head_norm", each a scalar ()."""
        parameters = step.parameters.items()
        moved = [value - step.start[name] for name, value in parameters if name.startswith("backbone.")]
        head = [value for name, value in parameters if name.startswith("heads.")]
        penalties = {
            "distance": self.alpha / 2 * _squared_norm(moved),
            "head_norm": self.beta / 2 * _squared_norm(head),
        }
        return {**super().losses(step), **penalties}


def _squared_norm(tensors: Iterable[Tensor]) -> Tensor:
    return torch.stack([tensor.square().sum() for tensor in tensors]).sum()
