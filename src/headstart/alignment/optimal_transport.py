"""Optimal transport: each source example moves to where the plan that moves the source to the target at least cost
puts it; target features stay as they are.

Courty et al. 2017 ("Optimal transport for domain adaptation"), G the plan between the examples, c their squared
distance, and z_s the mean of the target examples by the plan:

    min over G  <G, c> + entropy sum G log G + classes sum_j sum_k ||G(of class k, j)||_1^(1/2),   z_i = sum_j G_ij x_j

The last term keeps source examples of different classes from sharing target examples. `form = "linear"` is the affine
map between normal distributions instead (Flamary et al. 2019, "Concentration bounds for linear Monge mapping
estimation"). Solved by the library POT. Costs are divided by their median, so that the settings mean the same
for all features. A target, or a source, of more than `most` examples is represented by so many; the rest of the source
moves like its nearest neighbour.

All mass of the source must land in the target: where the domains differ in their mix of classes, classes are torn.
"""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
from pydantic import Field

from headstart.contracts.alignment import Aligned, Alignment
from headstart.contracts.domains import Domains
from headstart.kernel.errors import DataError, SettingsError
from headstart.kernel.randomness import draw_seed


class OptimalTransport(Alignment):
    """Source examples moved to the target at least cost."""

    form: Literal["classes", "entropic", "linear"] = "classes"
    """With a term for the classes of the source, without, or an affine map."""
    entropy: float = Field(default=0.02, gt=0)
    """Weight of the entropy, in median costs; for 'linear' what is added to covariances, in mean variances."""
    classes: float = Field(default=0.5, ge=0)
    """Weight of the term for classes, in median costs."""
    most: int = Field(default=1000, ge=2)
    """Examples of a domain that the plan is between."""

    title = "optimal transport"
    kinds = ("covariate", "concept", "cannot tell")

    def align(self, domains: Domains, seed: int) -> Aligned:
        """Move the source; the width stays. Raises DataError for a target of one example."""
        if len(domains.target) < 2:
            raise DataError(f"optimal transport needs two examples of the target, which has {len(domains.target)}")
        source, target = domains.source.astype(np.float64), domains.target.astype(np.float64)
        draws = np.random.default_rng(draw_seed(seed, "optimal transport"))
        rows, others = (
            np.sort(draws.choice(len(some), min(self.most, len(some)), replace=False)) for some in (source, target)
        )
        with warnings.catch_warnings():  # a plan that has not fully converged will do
            warnings.simplefilter("ignore")
            plan = self._plan(source).fit(Xs=source[rows], ys=domains.labels[rows], Xt=target[others])

            def move(features: np.ndarray) -> np.ndarray:
                return np.asarray(plan.transform(Xs=features.astype(np.float64), batch_size=4096).astype(np.float32))

            moved = move(domains.source)
        if not np.isfinite(moved).all():
            raise DataError(f"optimal transport found no finite plan at entropy = {self.entropy}; a larger one may do")
        width = source.shape[1]
        return Aligned(moved, np.eye(width), np.zeros(width), move)

    def _plan(self, source: np.ndarray) -> Any:
        try:
            from ot import da
        except ImportError as error:
            raise SettingsError(
                "alignment optimal_transport needs the library POT: pip install 'headstart[adaptation]'"
            ) from error
        if self.form == "linear":
            return da.LinearTransport(reg=self.entropy * float(source.var(axis=0).mean()))
        if self.form == "entropic":
            return da.SinkhornTransport(reg_e=self.entropy, norm="median", method="sinkhorn")
        return da.SinkhornLpl1Transport(
            reg_e=self.entropy, reg_cl=self.classes, norm="median", max_iter=5, max_inner_iter=100
        )
