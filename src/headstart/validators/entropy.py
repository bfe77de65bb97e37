"""Entropy: how sure predictions of the target are, negated (Morerio et al. 2018, "Minimal-entropy correlation
alignment").

    -mean over the target of H(p(x)),   H(p) = -sum_k p_k log p_k

A model that gives all examples the same class is sure as well; see `infomax`.
"""

from __future__ import annotations

import numpy as np

from headstart.contracts.validator import Outcome, Validator


class Entropy(Validator):
    """Mean entropy of the target's predictions, negated."""

    title = "entropy"

    def score(self, outcome: Outcome, seed: int) -> float:  # noqa: ARG002
        """Return it in nats, in [-log classes, 0]; NaN without target examples."""
        if not len(outcome.target):
            return float("nan")
        logs = np.log(np.maximum(outcome.target, 1e-300))
        return float((outcome.target * logs).sum(axis=1).mean())
