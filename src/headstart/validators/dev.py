"""Deep embedded validation: importance-weighted loss with a control variate, its weights divided by their largest.

You et al. 2019 ("Towards accurate model selection in deep unsupervised domain adaptation"), with w the density ratio,
l the cross-entropy, and means, variance and covariance over held-out source examples:

    R = mean(w l) + eta mean(w) - eta,   eta = -Cov(w l, w) / Var(w)

In the normalised form of Musgrave et al. 2022 ("Three new validators and a large-scale benchmark ranking for
unsupervised domain adaptation") w is w / max w. Without it, ratios of mean 1 leave nothing for the control variate to
do. The ratios are of the kept features, the same for all candidates; the paper's are of each candidate's own.
"""

from __future__ import annotations

import numpy as np

from headstart.contracts.validator import Outcome, Validator

LEAST = 1e-6
"""Probability of a class at least, so that no single example decides."""


class DeepEmbeddedValidation(Validator):
    """Normalised risk of the target, negated."""

    title = "deep embedded validation"

    def score(self, outcome: Outcome, seed: int) -> float:  # noqa: ARG002
        """Return -R; NaN without held-out examples."""
        if not len(outcome.labels):
            return float("nan")
        given = outcome.source[np.arange(len(outcome.labels)), outcome.labels]
        weights = outcome.ratios / max(float(outcome.ratios.max()), 1e-12)
        losses = -weights * np.log(np.clip(given, LEAST, 1))
        variance = float(weights.var())
        eta = 0.0
        if variance > 1e-12:
            eta = -float(((losses - losses.mean()) * (weights - weights.mean())).mean()) / variance
        return -float(losses.mean() + eta * weights.mean() - eta)
