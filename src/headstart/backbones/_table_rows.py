"""Rows of a table as one tensor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from headstart.contracts.examples import Raw
from headstart.kernel.errors import DataError


def rows_of_numbers(raws: Sequence[Raw], columns: int) -> Tensor:
    """(batch, columns) float32.

    Raises:
        DataError: a row has another number of columns, or NaN or an infinite number, also one that 32 bits cannot hold.
    """
    return torch.stack([_row(raw, columns) for raw in raws])


def _row(raw: Raw, columns: int) -> Tensor:
    values = np.asarray(raw, dtype=np.float64)
    if values.shape != (columns,):
        raise DataError(f"has {values.size} numbers; expected {columns}")
    row = torch.from_numpy(values).float()
    if not torch.isfinite(row).all():
        raise DataError("contains a missing (NaN) or infinite number")
    return row
