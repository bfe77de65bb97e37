"""Shared by the augmentations that mix: partners and shares, drawn from the seeds of the whole batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from headstart.contracts.augmentation import Augmentation, fault_of
from headstart.contracts.carriers import Batch
from headstart.contracts.target_movement import kind_of
from headstart.contracts.targets import TargetKinds
from headstart.kernel.errors import SettingsError


class Partners(NamedTuple):
    """The partner of each example of a batch, and its share."""

    own: float
    """Share of the example itself, in [0, 1]: drawn from Beta(alpha, alpha)."""
    rows: Tensor
    """(batch,) int64: the position of the other one."""
    draws: np.random.Generator
    """For what else there is to draw."""


def partners(seeds: Sequence[int], alpha: float) -> Partners:
    """One share for the batch, and a permutation of it, as the authors of mixup and CutMix draw them."""
    draws = np.random.default_rng(list(seeds))
    return Partners(float(draws.beta(alpha, alpha)), torch.from_numpy(draws.permutation(len(seeds))), draws)


def of_partners(targets: Mapping[str, Tensor], rows: Tensor) -> dict[str, Tensor]:
    """The targets (batch, ...) of the examples at `rows`."""
    return {name: values[rows.to(values.device)] for name, values in targets.items()}


def require_mixable(part: Augmentation, batch: Batch, kinds: TargetKinds) -> None:
    """Refuse a batch with a target of which no mixture is defined. Raises SettingsError."""
    fault = fault_of(part, {name: kind_of(name, kinds) for name in batch.targets})
    if fault:
        raise SettingsError(f"{fault}. Use --augmentation none.")


def blended(values: Tensor, own: float, rows: Tensor) -> Tensor:
    """own * values + (1 - own) * those of the others, (batch, ...)."""
    return own * values + (1 - own) * values[rows.to(values.device)]
