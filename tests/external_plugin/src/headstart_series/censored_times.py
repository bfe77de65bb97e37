"""Censored times: a kind of target that a number alone does not say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class CensoredTimes:
    """How long each example lasted: (batch, 2) floats, the time and 1 where it ended then, 0 where it went on.

    A blend of two censored times is none, and nothing is known of how views of a series change them: the kind is
    neither additive nor does it follow, so that augmentations of either sort are refused.
    """

    title: ClassVar[str] = "censored times"
    additive: ClassVar[bool] = False

    def collated(self, values: np.ndarray) -> Tensor:
        """Return the batch (batch, 2). Raises TypeError on anything else."""
        if values.dtype.kind != "f" or values.ndim != 2 or values.shape[1] != 2:
            raise TypeError(f"{self.title} must be floats (batch, 2), received {values.dtype} {values.shape}")
        return torch.from_numpy(values)

    def identity(self, values: np.ndarray) -> list[Any]:
        """Return time and ending of each example."""
        found: list[Any] = values.tolist()
        return found
