"""TrAdaBoost: source examples that heads get wrong count less and less, labelled target examples that they get wrong
more and more.

Dai et al. 2007 ("Boosting for transfer learning"), n source and m labelled target examples, N rounds. In each a head h
is solved with the weights, e is its weighted error on the target examples, at most 1/2, and

    b = 1 / (1 + sqrt(2 ln n / N)),   b_t = e / (1 - e)
    w <- w b of a source example that h gets wrong,   w <- w / b_t of such a target example

The heads of the rounds from N / 2 on vote, each with the weight ln(1 / b_t). Differences: of several classes, "wrong"
is any other class, as in AdaBoost.M1 (Freund & Schapire 1997); heads vote by their probabilities, as a saved mixture
does; e is at least half an example of the target, as a linear head of many features often gets all right.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from headstart.contracts.domains import Domains, LinearHead, Solve
from headstart.contracts.weighting import Weighted, Weighting
from headstart.kernel.errors import DataError

LEAST_VOTE = 1e-6
"""Of a head that is right as often as wrong, so that there is always a vote."""


class Tradaboost(Weighting):
    """Heads that vote, solved with weights that follow the labelled target examples."""

    rounds: int = Field(default=20, ge=2)
    """Heads that are solved; those from the middle one on vote."""

    title = "TrAdaBoost"
    kinds = ("none", "covariate", "label", "concept", "support", "cannot tell")
    needs_target_labels = True

    def weigh(self, domains: Domains, solve: Solve, seed: int) -> Weighted:  # noqa: ARG002
        """Return the heads that vote. Raises DataError without labelled target examples."""
        few, many = len(domains.target_labels), len(domains.labels)
        if not few:
            raise DataError("TrAdaBoost needs labelled examples of the target; give some by --target-labels")
        features = np.concatenate([domains.source, domains.target_labelled])
        labels = np.concatenate([domains.labels, domains.target_labels])
        of_target = np.arange(len(labels)) >= many
        weights, votes = np.ones(len(labels)), list[tuple[float, LinearHead]]()
        source_factor = 1 / (1 + np.sqrt(2 * np.log(many) / self.rounds))
        for _ in range(self.rounds):
            weights *= len(weights) / weights.sum()
            head = solve(features, labels, weights)
            wrong = head.logits(features).argmax(axis=1) != labels
            error = float(weights[of_target & wrong].sum() / weights[of_target].sum())
            error = min(max(error, 0.5 / (few + 1)), 0.5)
            target_factor = error / (1 - error)
            votes.append((max(float(-np.log(target_factor)), LEAST_VOTE), head))
            weights *= np.where(wrong, np.where(of_target, 1 / target_factor, source_factor), 1.0)
        return Weighted(votes=tuple(votes[(self.rounds - 1) // 2 :]))
