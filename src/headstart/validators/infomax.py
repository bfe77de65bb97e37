"""InfoMax: predictions of the target are sure, and all classes are among them.

The mutual information of input and predicted class (Shi & Sha 2012, "Information-theoretical learning of discriminative
clusters for unsupervised domain adaptation"):

    H(mean p(x)) - mean H(p(x)), both over the target

The first term charges a collapse to few classes, and so a target that truly has few.
"""

from __future__ import annotations

import numpy as np

from headstart.contracts.validator import Outcome, Validator


class InfoMax(Validator):
    """Mutual information of the target's inputs and predicted classes."""

    title = "InfoMax"

    def score(self, outcome: Outcome, seed: int) -> float:  # noqa: ARG002
        """Return it in nats, in [0, log classes]; NaN without target examples."""
        if not len(outcome.target):
            return float("nan")
        mean = outcome.target.mean(axis=0)
        within = (outcome.target * np.log(np.maximum(outcome.target, 1e-300))).sum(axis=1).mean()
        return float(within - mean @ np.log(np.maximum(mean, 1e-300)))
