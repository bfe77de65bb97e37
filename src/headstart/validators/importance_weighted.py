"""Importance-weighted validation: accuracy on held-out source examples, each counted as often as the target has it.

Sugiyama et al. 2007 ("Covariate shift adaptation by importance weighted cross validation"): where labels of an input
are the same in both domains, and w(x) = p_t(x) / p_s(x),

    E_t[right(x)] = E_s[w(x) right(x)], estimated by the mean of w right over held-out source examples

The ratios have mean 1. Where they rest on few examples the estimate does too, and it knows nothing of regions that the
source lacks.
"""

from __future__ import annotations

from headstart.contracts.validator import Outcome, Validator


class ImportanceWeighted(Validator):
    """Weighted share of held-out source examples that are right."""

    title = "importance-weighted accuracy"

    def score(self, outcome: Outcome, seed: int) -> float:  # noqa: ARG002
        """Return the share, in [0, 1]; NaN without held-out examples."""
        if not len(outcome.labels):
            return float("nan")
        return float(outcome.ratios @ outcome.right / outcome.ratios.sum())
