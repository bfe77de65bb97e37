"""Expectation maximisation: the classes' shares in the target, and a head corrected for them.

Saerens, Latinne & Decaestecker 2002 ("Adjusting the outputs of a classifier to new a priori probabilities"): where
only the mix of classes differs, p_t(y | x) is proportional to p_s(y | x) q_y / pi_y, and the shares q of the target
are those of greatest likelihood:

    q_y <- mean over the target of p_y(x) q_y / pi_y, normalised, from q = pi on

p must be calibrated (Alexandari et al. 2020, "Maximum likelihood with bias-corrected calibration is hard-to-beat at
label shift adaptation"): the head has the temperature of its own cross-validation. No share is below what half an
example of the target comes to.
"""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from headstart.contracts.domains import Domains, Solve
from headstart.contracts.weighting import Weighted, Weighting
from headstart.numerics.class_mix import expectation_maximisation, share_ratios


class Em(Weighting):
    """Ratios of the classes' shares, of greatest likelihood."""

    title = "expectation maximisation"
    kinds = ("label", "support", "cannot tell")

    def weigh(self, domains: Domains, solve: Solve, seed: int) -> Weighted:  # noqa: ARG002
        """Return the ratios (classes,)."""
        head = solve(domains.source, domains.labels, None)
        prior = np.bincount(domains.labels, minlength=domains.classes) / len(domains.labels)
        shares = expectation_maximisation(softmax(head.logits(domains.target), axis=1), prior)
        return Weighted(ratios=share_ratios(shares, prior, len(domains.target)))
