"""Spread of embeddings: tells a representation that has collapsed from one that has not.

With embeddings of length 1 in d dimensions, `feature_std` is sqrt(d) times the standard deviation of their coordinates
over the examples, as the root of the mean variance: 0 where all are equal, 1 where they are evenly spread over the
sphere (Chen & He 2021, "Exploring simple Siamese representation learning", section 4.1).

`effective_rank` is RankMe (Garrido et al. 2023): exp(-sum p_k log p_k), p_k = s_k / sum_j s_j + eps, s the singular
values of the matrix of embeddings: how many dimensions are in use, between 1 and d.
"""

from __future__ import annotations

import torch
from torch import Tensor

EPSILON = 1e-7


def feature_std(embeddings: Tensor) -> float:
    """Of embeddings (examples, width), in [0, about 1]; NaN of fewer than two."""
    unit = torch.nn.functional.normalize(embeddings.double(), dim=1)
    return float((unit.var(dim=0).sum()).sqrt())


def effective_rank(embeddings: Tensor) -> float:
    """Of embeddings (examples, width), in [1, min(examples, width)]; NaN of none."""
    if not len(embeddings):
        return float("nan")
    singular = torch.linalg.svdvals(embeddings.double())
    shares = singular / singular.sum().clamp_min(EPSILON) + EPSILON
    return float(torch.exp(-(shares * shares.log()).sum()))
