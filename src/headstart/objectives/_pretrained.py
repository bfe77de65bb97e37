"""Features as they were before the training: the pass of a batch through the weights that it began with.

The live modules take their first weights for the time of the pass, so that no second network is needed. Nothing is
dropped, and BatchNorm normalises by its statistics as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from headstart.contracts.carriers import Batch
from headstart.contracts.features import Features
from headstart.contracts.objective import Step


def pretrained_features(step: Step, batch: Batch) -> Features:
    """Run the backbone with its first weights on a batch; without gradients, and before the pass that has some."""
    with torch.no_grad(), _first_weights(step):
        return step.features(batch)


@contextmanager
def _first_weights(step: Step) -> Iterator[None]:
    moving = {name: value for name, value in step.parameters.items() if name.startswith("backbone.")}
    now = {name: value.data for name, value in moving.items()}
    modes = [(module, module.training) for module in step.backbone.module.modules()]
    try:
        for module, _ in modes:
            module.training = False
        for name, value in moving.items():
            value.data = step.start[name]
        yield
    finally:
        for name, value in moving.items():
            value.data = now[name]
        for module, mode in modes:
            module.training = mode
