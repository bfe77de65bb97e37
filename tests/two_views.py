"""Steps of pretraining as an objective sees them; one on two views of some rows of numbers, in float64."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import Batch, State
from headstart.contracts.objective import TARGET, TARGET_AGAIN, Step
from tiny_backbone import TinyBackbone

ROWS = 12


def two_views(objective: Any, *, progress: float = 0.0) -> Step:
    """The step with the objective's own additions, everything drawn from one seed."""
    torch.manual_seed(0)
    backbone = TinyBackbone(dropout=0.0)
    backbone.module.double()
    additions = nn.ModuleDict(dict(objective.additions(backbone))).double()
    inputs = torch.randn(ROWS, 4, dtype=torch.float64)
    views = {name: State(inputs + 0.3 * torch.randn_like(inputs)) for name in (TARGET, TARGET_AGAIN)}
    batches = {name: Batch(state, {}, torch.arange(ROWS)) for name, state in views.items()}
    return step_of(batches, backbone, additions, progress=progress)


def step_of(
    batches: Mapping[str, Batch], backbone: Backbone, additions: nn.ModuleDict, *, progress: float = 0.0, seed: int = 0
) -> Step:
    """A step of pretraining on batches by stream."""
    segment = backbone.segment(0, len(backbone.stages))
    return Step(
        batches=batches,
        features=lambda batch: backbone.features(segment(batch.state)),
        backbone=backbone,
        outputs=lambda features, batch: {},
        task_losses=lambda outputs, batch: {},
        additions=additions,
        progress=progress,
        seed=seed,
    )
