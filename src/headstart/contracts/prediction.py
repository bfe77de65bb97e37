"""Predictions of examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Prediction:
    """Decoded outputs, one entry per example in every column."""

    columns: Mapping[str, np.ndarray]
    """Name -> array whose first axis is the example; ragged outputs are object arrays."""

    def take(self, rows: Sequence[int] | np.ndarray) -> Prediction:
        """The given examples."""
        return Prediction({name: values[np.asarray(rows)] for name, values in self.columns.items()})

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    @staticmethod
    def join(parts: Sequence[Prediction]) -> Prediction:
        """Predictions of consecutive batches as one."""
        return Prediction({name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns})
