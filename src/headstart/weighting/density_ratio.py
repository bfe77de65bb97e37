"""Density ratio: a source example counts as much as it is likelier in the target than in the source.

Bickel, Brückner & Scheffer 2009 ("Discriminative learning under covariate shift"), as in `numerics/density_ratio.py`:
a cross-fitted classifier of the domains on a few principal components. Weights are right where only the inputs differ,
and cost accuracy where they are uneven; they are therefore flattened, w^a with the largest a <= 1 at which enough
examples count (Sugiyama et al. 2007, "Covariate shift adaptation by importance weighted cross validation").
"""

from __future__ import annotations

from pydantic import Field

from headstart.contracts.domains import Domains, Solve
from headstart.contracts.weighting import Weighted, Weighting
from headstart.numerics.density_ratio import BOUND, density_ratio, flattened


class DensityRatio(Weighting):
    """Weights by a classifier of the domains."""

    components: int = Field(default=32, ge=1)
    """Principal components of both domains that it reads; fewer where a domain has fewer than 40 examples for each."""
    bound: float = Field(default=BOUND, gt=1)
    """The largest weight before they are flattened, and one over the smallest."""
    least_effective: float = Field(default=0.3, ge=0, lt=1)
    """Share of the source that the effective sample size reaches at least."""

    title = "density ratio"
    kinds = ("covariate", "cannot tell")

    def weigh(self, domains: Domains, solve: Solve, seed: int) -> Weighted:  # noqa: ARG002
        """Return the weights (source examples,)."""
        ratio = density_ratio(domains.source, domains.target, seed, components=self.components, bound=self.bound)
        return Weighted(weights=flattened(ratio, self.least_effective))
