"""Inputs unlike the training data: how far their features lie from the nearest ones of training.

The distance is the mean cosine distance to the K nearest of the training features, centred (Sun, Ming, Zhu & Li 2022,
"Out-of-distribution detection with deep nearest neighbors", take the K-th), or the Euclidean distance of standardised
columns where the inputs are numbers. An input is unlike where p = (1 + validation examples at least as far) / (1 +
validation examples) is at most `RATE`: of inputs like those of validation no more are flagged on average (Bates,
Candès, Lei, Romano & Sesia 2023, "Testing for outliers with conformal p-values").
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from headstart.numerics.standardisation import of_unit_length, standardise

NEAREST = 5
RATE = 0.03
AT_ONCE = 1024


@dataclass(frozen=True)
class Reference:
    """Training features, and how far those of validation lie from them."""

    points: np.ndarray
    """(training examples, width)"""
    mean: np.ndarray
    """(width,)"""
    scale: np.ndarray
    """(width,)"""
    held_out: np.ndarray
    """(validation examples,) distances, rising."""
    angles: bool

    @staticmethod
    def of(features: np.ndarray, held_out: np.ndarray, *, angles: bool) -> Reference:
        """Measure the features (examples, width) of validation against those of training.

        Args:
            features: of training.
            held_out: of validation.
            angles: by cosine distance; else by the Euclidean distance of standardised columns.
        """
        _, how = standardise(features, each=not angles)
        scale = np.where(np.isfinite(how.scale), how.scale, 1e12) if not angles else np.ones(features.shape[1])
        bare = Reference(np.empty((0, features.shape[1])), how.mean, scale, np.empty(0), angles)
        placed = Reference(bare.placed(features), how.mean, scale, np.empty(0), angles)
        return Reference(placed.points, how.mean, scale, np.sort(placed.distances(held_out)), angles)

    def placed(self, features: np.ndarray) -> np.ndarray:
        """Features (examples, width) as points among the others."""
        moved = (features.astype(np.float64) - self.mean) / self.scale
        found: np.ndarray = (of_unit_length(moved) if self.angles else moved).astype(np.float32)
        return found

    def nearest(self, features: np.ndarray, count: int = NEAREST) -> tuple[np.ndarray, np.ndarray]:
        """The nearest training examples of each input, (inputs, count) rows, the nearest first, and their distances."""
        rows, apart = [], []
        points, squares = self._measured
        count = min(count, len(points))
        for start in range(0, max(1, len(features)), AT_ONCE):
            placed = self.placed(features[start : start + AT_ONCE])
            far = np.square(placed).sum(axis=1)[:, None] + squares - 2 * placed @ points.T
            near = np.argsort(far, axis=1, kind="stable")[:, :count]
            far = np.maximum(np.take_along_axis(far, near, axis=1), 0.0)
            rows.append(near)
            apart.append(far / 2 if self.angles else np.sqrt(far))  # of unit vectors half the square is 1 - cosine
        return np.concatenate(rows), np.concatenate(apart)

    @cached_property
    def _measured(self) -> tuple[np.ndarray, np.ndarray]:
        """The points in float32, and their squared lengths."""
        points = self.points.astype(np.float32)
        return points, np.square(points).sum(axis=1)

    def distances(self, features: np.ndarray) -> np.ndarray:
        """(inputs,) the mean distance to the nearest training examples."""
        found: np.ndarray = self.nearest(features)[1].mean(axis=1)
        return found

    def p_values(self, distances: np.ndarray) -> np.ndarray:
        """(inputs,) the share of validation examples that lie as far, in (0, 1]."""
        count = len(self.held_out)
        found: np.ndarray = (1 + count - np.searchsorted(self.held_out, distances - 1e-12)) / (1 + count)
        return found

    def unlike(self, distances: np.ndarray) -> np.ndarray:
        """(inputs,) bool: whether so few validation examples lie as far."""
        return self.p_values(distances) <= RATE
