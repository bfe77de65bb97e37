"""The head that a backbone was trained with before, on its own classes, as an addition that learns along."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from torch import Tensor, nn

from headstart.contracts.backbone import SOURCE_HEAD
from headstart.contracts.network import Network
from headstart.contracts.objective import Step
from headstart.kernel.errors import SettingsError


def source_head(backbone: Network) -> Mapping[str, nn.Module]:
    """Return a copy of the head as an addition. Raises SettingsError where the backbone has none."""
    if backbone.source_head is None:
        raise SettingsError(
            f"it needs the head that the backbone was trained with, and {backbone.name} has none. Give a run of one "
            "class per example as --backbone, or weights with their classifier."
        )
    head = copy.deepcopy(backbone.source_head)
    return {SOURCE_HEAD: head.requires_grad_(True)}


def source_logits(step: Step, pooled: Tensor) -> Tensor:
    """Features (batch, width) -> logits (batch, classes of the source) of the head as it is now."""
    found: Tensor = step.additions[SOURCE_HEAD](pooled)
    return found
