"""DELTA: the maps that the last stage gives are held to those of the pretrained network, channel by channel.

Li, Xiong, Wang, Rao, Liu & Huan 2019 ("DELTA: deep learning transfer using feature map with attention"). With F_c the
map of channel c over h x w places, F*_c that of the pretrained network for the same input, and C channels,

    loss = task loss + alpha / 2 * mean over examples of sum_c C a_c ||F_c - F*_c||^2 / (h w) + beta / 2 ||w_head||^2

The paper's a_c is a softmax over how much the loss grows without channel c, found beforehand by leaving out one after
the other, and it compares the maps of several layers. Here it is the same softmax to first order, a_c of the mean of
-f_c dL/df_c over the pooled features f of the pretrained network under the head of the moment, followed from batch to
batch; and the maps are the last stage's. Tokens stand for places, and features without places are their own map.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from headstart.contracts.carriers import Batch
from headstart.contracts.features import Features
from headstart.contracts.objective import SOURCE, Objective, Step
from headstart.objectives._pretrained import pretrained_features
from headstart.objectives._running import Running, running


class Delta(Objective):
    """The task loss, and the distance of feature maps from the pretrained ones."""

    anchored: ClassVar[bool] = True
    gathers: ClassVar[bool] = True

    alpha: float = Field(default=0.5, gt=0)
    """Weight of the maps' squared distance; 0.5 is the usual 0.01 for the sum of a batch of 48; > 0."""
    beta: float = Field(default=0.01, ge=0)
    """Weight of the head's squared norm; >= 0."""
    attention: bool = True
    """Whether channels weigh as the loss needs them; else all weigh the same."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Of what is known of the channels, from batch to batch; in [0, 1)."""

    def first_stage(self, stages: int) -> int:
        """A pretrained stage must move."""
        return stages - 1

    def beside_head(self, width: int, outputs: int) -> Mapping[str, nn.Module]:  # noqa: ARG002
        """Growth of the loss without each feature, (width,)."""
        return {"running": Running({"growth": torch.zeros(width)})}

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        """The task's terms, "maps" and "head_norm", each a scalar ()."""
        batch = step.batches[SOURCE]
        before = pretrained_features(step, batch)
        now = step.features(batch)
        attention = self._attention(step, batch, before)
        head = [value for name, value in step.parameters.items() if name.startswith("heads.")]
        norm = torch.stack([value.square().sum() for value in head]).sum()
        apart = distances(now, before, attention).mean()
        penalties = {"maps": self.alpha / 2 * apart, "head_norm": self.beta / 2 * norm}
        return {**step.task_losses(step.outputs(now, batch), batch), **penalties}

    def _attention(self, step: Step, batch: Batch, before: Features) -> Tensor:
        """(width,) with mean 1"""
        kept = running(step).get_buffer("growth")
        if not self.attention:
            return torch.ones_like(kept)
        with torch.enable_grad():
            pooled = before.pooled.detach().requires_grad_()
            terms = step.task_losses(step.outputs(replace(before, pooled=pooled), batch), batch)
            (slope,) = torch.autograd.grad(torch.stack([*terms.values()]).sum(), pooled, allow_unused=True)
        if slope is not None:
            grown = step.gathered(-(pooled * slope).detach() * len(pooled)).mean(dim=0)
            running(step).propose({"growth": self.momentum * kept + (1 - self.momentum) * grown})
        return kept.softmax(dim=0) * len(kept)

    def after_step(self, step: Step) -> None:
        """Follow the channels."""
        running(step).keep()


def distances(now: Features, before: Features, attention: Tensor) -> Tensor:
    """(batch,) the weighted squared distances of maps, a mean over places; `attention` (width,) where it fits them."""
    one, other = (_places(features) for features in (now, before))
    squared = (one - other).square().mean(dim=1)
    weights = attention if len(attention) == squared.shape[1] else torch.ones_like(squared[0])
    return (weights.to(squared.dtype) * squared).sum(dim=1)


def _places(features: Features) -> Tensor:
    """(batch, places, channels)"""
    if features.maps:
        return features.maps[-1].flatten(2).transpose(1, 2)
    return features.pooled[:, None] if features.tokens is None else features.tokens
