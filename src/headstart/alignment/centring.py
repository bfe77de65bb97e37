"""Centring: the mean of each domain becomes 0, and all else stays.

The part of standardised domains (Li et al. 2018, "Adaptive batch normalization for practical domain adaptation") that
leaves the features' proportions alone:

    z_s = x_s - mean_s,   z_t = x_t - mean_t

It serves where many features are small and say little, as those of word counts: dividing these by their deviation makes
their noise as large as what the others say. Like all matching of means it assumes that the domains have the same mix
of classes.
"""

from __future__ import annotations

import numpy as np

from headstart.contracts.alignment import Aligned, Alignment
from headstart.contracts.domains import Domains


class CentredDomains(Alignment):
    """Mean 0 in each domain."""

    title = "centred domains"
    kinds = ("covariate", "concept", "support", "cannot tell")

    def align(self, domains: Domains, seed: int) -> Aligned:  # noqa: ARG002
        """Move both domains; the width stays."""
        own, theirs = (features.mean(axis=0, dtype=np.float64) for features in (domains.source, domains.target))

        def move(features: np.ndarray) -> np.ndarray:
            return np.asarray((features - own).astype(np.float32))

        return Aligned(move(domains.source), np.eye(len(own)), -theirs, move)
