"""MixVal: is a mix of two target examples predicted as the one of which there is more?

Hu et al. 2023 ("Mixed samples as probes for unsupervised model selection in domain adaptation"). Each example is mixed
with another, drawn by a permutation, x = .55 x_a + .45 x_b, and the share of mixes predicted as x_a is taken apart for
pairs of one predicted class and of two: near the middle of a class, and near the border. The score is the mean of both
shares; the paper averages a candidate's ranks by them. Features are mixed, where the paper mixes pictures.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from headstart.contracts.validator import Outcome, Validator
from headstart.kernel.randomness import draw_seed


class MixVal(Validator):
    """Consistency of predictions on mixed target examples."""

    title = "MixVal"

    alpha: float = Field(default=0.55, gt=0.5, lt=1)
    """Share of the example whose class the mix should have."""

    def score(self, outcome: Outcome, seed: int) -> float:
        """Return it, in [0, 1]; of the pairs there are, where all are of one kind; NaN without target examples."""
        if not len(outcome.target):
            return float("nan")
        other = np.random.default_rng(draw_seed(seed, "mixed target examples")).permutation(len(outcome.target))
        mixed = self.alpha * outcome.target_features + (1 - self.alpha) * outcome.target_features[other]
        classes = outcome.target.argmax(axis=1)
        kept = outcome.predict(mixed.astype(np.float32)).argmax(axis=1) == classes
        alike = classes == classes[other]
        return float(np.mean([kept[pairs].mean() for pairs in (alike, ~alike) if pairs.any()]))
