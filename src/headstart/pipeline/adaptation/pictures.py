"""Pictures of the domains: what a model makes of some examples of both, in the plane in which they vary most."""

from __future__ import annotations

import numpy as np
from scipy.special import log_softmax

from headstart.kernel.randomness import draw_seed
from headstart.pipeline.adaptation.rows import DomainPoints

MOST = 250
"""Examples of each domain that are drawn."""

FLOOR = -12.0
"""Log probability below which classes are alike."""


def domain_points(title: str, source: np.ndarray, target: np.ndarray, seed: int) -> DomainPoints:
    """Project log probabilities to the two principal components of both domains together.

    Args:
        source: (source examples, classes) logits of a model as the source sees it. target: likewise.
    """
    draws = np.random.default_rng(draw_seed(seed, "picture of domains"))
    some = [np.maximum(log_softmax(of[_drawn(len(of), draws)], axis=1), FLOOR) for of in (source, target)]
    both = np.concatenate(some)
    centred = both - both.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    plane = np.zeros((len(both), 2))
    points = centred @ directions[:2].T
    plane[:, : points.shape[1]] = points
    scale = np.abs(plane).max() or 1.0
    rows = [(float(x), float(y)) for x, y in np.round(plane / scale, 3)]
    return DomainPoints(title=title, source=tuple(rows[: len(some[0])]), target=tuple(rows[len(some[0]) :]))


def _drawn(number: int, draws: np.random.Generator) -> np.ndarray:
    return np.sort(draws.choice(number, min(MOST, number), replace=False))
