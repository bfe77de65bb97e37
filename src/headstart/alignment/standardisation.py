"""Standardisation: each domain's features get mean 0 and variance 1 by the domain's own statistics.

The closed form on features of what adaptive batch normalisation (Li et al. 2018, "Adaptive batch normalization for
practical domain adaptation") does in every layer:

    z_s = (x_s - mean_s) / deviation_s,   z_t = (x_t - mean_t) / deviation_t

Features that are constant in a domain are 0 there. It assumes that the domains have the same mix of classes: where one
has more of a class, its mean is another one for that reason alone.
"""

from __future__ import annotations

import numpy as np

from headstart.contracts.alignment import Aligned, Alignment
from headstart.contracts.domains import Domains
from headstart.numerics.standardisation import standardise


class StandardisedDomains(Alignment):
    """Mean 0 and variance 1 in each domain."""

    title = "standardised domains"
    kinds = ("covariate", "concept", "support", "cannot tell")

    def align(self, domains: Domains, seed: int) -> Aligned:  # noqa: ARG002
        """Standardise both domains; the width stays."""
        source, of_source = standardise(domains.source)
        _, of_target = standardise(domains.target)
        scale = 1 / of_target.scale

        def move(features: np.ndarray) -> np.ndarray:
            return ((features - of_source.mean) / of_source.scale).astype(np.float32)

        return Aligned(source.astype(np.float32), np.diag(scale), -of_target.mean * scale, move)
