"""Source accuracy: the share of held-out source examples whose class is predicted.

It says nothing of the target where the domains differ, and is a floor: an adapted model that no longer does what it was
taught in the source is not to be trusted elsewhere (Musgrave et al. 2021, "Unsupervised domain adaptation: a reality
check", found it the safest single guide).
"""

from __future__ import annotations

from headstart.contracts.validator import Outcome, Validator


class SourceAccuracy(Validator):
    """Share of held-out source examples that are right."""

    title = "source accuracy"

    def score(self, outcome: Outcome, seed: int) -> float:  # noqa: ARG002
        """Return the share, in [0, 1]; NaN without held-out examples."""
        return outcome.accuracy
