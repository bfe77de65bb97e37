"""A step on two views of some rows of numbers, in float64: what losses of pretraining are compared on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from headstart.contracts.carriers import Batch, State
from headstart.contracts.objective import AGAIN, UNLABELLED, Step
from tiny_backbone import TinyBackbone

ROWS = 12


def two_views(objective: Any, *, progress: float = 0.0) -> Step:
    """The step with the objective's own additions, everything drawn from one seed."""
    torch.manual_seed(0)
    backbone = TinyBackbone(dropout=0.0)
    backbone.module.double()
    additions = nn.ModuleDict(dict(objective.additions(backbone))).double()
    inputs = torch.randn(ROWS, 4, dtype=torch.float64)
    views = {name: inputs + 0.3 * torch.randn_like(inputs) for name in (UNLABELLED, AGAIN)}
    return step_of(views, backbone, additions, progress)


def step_of(
    views: Mapping[str, torch.Tensor], backbone: TinyBackbone, additions: nn.ModuleDict, progress: float
) -> Step:
    """A step on inputs (rows, numbers) by stream."""
    segment = backbone.segment(0, len(backbone.stages))
    return Step(
        batches={name: Batch(State(view), {}, torch.arange(len(view))) for name, view in views.items()},
        features=lambda batch: backbone.features(segment(batch.state)),
        backbone=backbone,
        outputs=lambda features, batch: {},
        task_losses=lambda outputs, batch: {},
        additions=additions,
        progress=progress,
    )
