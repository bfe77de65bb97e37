"""Kernel mean matching: weights under which the source has the target's mean in the space of a kernel.

Huang et al. 2006 ("Correcting sample selection bias by unlabeled data"), n source examples, Gaussian kernel k:

    min over w  w^T K w / 2 - kappa^T w + ridge ||w - 1||^2 / 2,   K_ij = k(s_i, s_j),
    kappa_i = n mean over the target of k(s_i, t),   0 <= w <= bound,   |mean w - 1| <= (sqrt n - 1) / sqrt n

The ridge is not in the paper: without it the weights follow the noise of both samples, and most are 0 where nothing
differs. The kernel's width is the median distance of source and target. Solved by accelerated projected gradients (Beck
& Teboulle 2009, "A fast iterative shrinkage-thresholding algorithm"). A large source is matched in random parts of at
most `most` examples, each against the same target (Miao, Farahat & Kamel 2015, "Ensemble kernel mean matching"). The
weights are then flattened until enough examples count.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field
from sklearn.metrics.pairwise import euclidean_distances

from headstart.contracts.domains import Domains, Solve
from headstart.contracts.weighting import Weighted, Weighting
from headstart.kernel.randomness import draw_seed
from headstart.numerics.density_ratio import flattened

STEPS, TOLERANCE, LEAST = 1000, 1e-5, 1e-3
"""Of the descent: at most, and the largest change of a weight at which it ends; the least weight, to be flattened."""


class KernelMeanMatching(Weighting):
    """Weights that match means in the space of a kernel."""

    bound: float = Field(default=1000.0, gt=1)
    """The largest weight."""
    ridge: float = Field(default=1.0, ge=0)
    """How much weights are held to 1; the kernel of an example with itself is 1."""
    most: int = Field(default=2000, ge=2)
    """Source examples that are matched at once, and target examples that they are matched with."""
    least_effective: float = Field(default=0.3, ge=0, lt=1)
    """Share of the source that the effective sample size reaches at least."""

    title = "kernel mean matching"
    kinds = ("covariate", "cannot tell")

    def weigh(self, domains: Domains, solve: Solve, seed: int) -> Weighted:  # noqa: ARG002
        """Return the weights (source examples,)."""
        draws = np.random.default_rng(draw_seed(seed, "kernel mean matching"))
        source, target = domains.source.astype(np.float64), domains.target.astype(np.float64)
        target = target[draws.permutation(len(target))[: self.most]]
        parts = np.array_split(draws.permutation(len(source)), -(-len(source) // self.most))
        weights = np.empty(len(source))
        for part in parts:
            weights[part] = self._matched(source[part], target)
        return Weighted(weights=flattened(np.maximum(weights, LEAST), self.least_effective))

    def _matched(self, source: np.ndarray, target: np.ndarray) -> np.ndarray:
        within, between = (euclidean_distances(source, other, squared=True) for other in (source, target))
        width = float(np.median(between)) or 1.0
        count = len(source)
        kernel, kappa = np.exp(-within / width), count * np.exp(-between / width).mean(axis=1)
        slack = (np.sqrt(count) - 1) / np.sqrt(count)
        kernel[np.diag_indices(count)] += self.ridge
        return descend(kernel, kappa + self.ridge, self.bound, (count * (1 - slack), count * (1 + slack)))


def descend(kernel: np.ndarray, kappa: np.ndarray, bound: float, total: tuple[float, float]) -> np.ndarray:
    """Return the w (examples,) of least w^T kernel w / 2 - kappa^T w, 0 <= w <= bound, its sum within `total`."""
    rate = 1 / float(kernel.sum(axis=1).max())  # no eigenvalue is larger, as the kernel is positive
    found = ahead = np.ones(len(kappa))
    momentum = 1.0
    for _ in range(STEPS):
        new = _projected(ahead - rate * (kernel @ ahead - kappa), bound, total)
        if (ahead - new) @ (new - found) > 0:  # the momentum overshot (O'Donoghue & Candes 2015): start anew
            momentum = 1.0
        after = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        change, ahead = np.abs(new - found).max(), new + (momentum - 1) / after * (new - found)
        found, momentum = new, after
        if change < TOLERANCE:
            break
    return found


def _projected(weights: np.ndarray, bound: float, total: tuple[float, float]) -> np.ndarray:
    """The nearest of the allowed weights: all moved by one number, so that the sum is right, and cut off."""
    cut = np.clip(weights, 0, bound)
    wanted = float(np.clip(cut.sum(), *total))
    if np.isclose(cut.sum(), wanted, rtol=1e-12):
        return cut
    low, high = -weights.max(), bound - weights.min()
    for _ in range(60):
        shift = (low + high) / 2
        low, high = (shift, high) if np.clip(weights + shift, 0, bound).sum() < wanted else (low, shift)
    return np.clip(weights + high, 0, bound)
