"""Pseudo labels: the head is solved again on the source and the target's surest predictions, round by round more.

Zou et al. 2018 ("Unsupervised domain adaptation for semantic segmentation via class-balanced self-training") with a
head that is solved, not trained. In a round with the share r each class k gets a threshold t_k, the probability that
r n_k target examples reach, where n_k are as many as the class has in the source, in proportion. A target example with
probabilities p gets the label

    argmax_k p_k / t_k   where that is at least 1

and the next head is solved on the source and these. r rises from `first` to `last`: the surest come first, and a part
of the target is never labelled. Like an alignment it assumes that both domains have the same mix of classes. Labels
that a head gave are easy to fit, which makes the next one too sure; the last head's logits therefore get the spread
over the target of the first one's.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field
from scipy.special import softmax

from headstart.contracts.domains import Domains, LinearHead, Solve
from headstart.contracts.weighting import Weighted, Weighting
from headstart.kernel.errors import DataError


class PseudoLabels(Weighting):
    """A head of the source and of the target's surest predictions."""

    rounds: int = Field(default=4, ge=1)
    """Heads that are solved after the source's."""
    first: float = Field(default=0.2, gt=0, le=1)
    """Share of the target that gets labels in the first round."""
    last: float = Field(default=0.8, gt=0, le=1)
    """Share of the target that gets labels in the last round."""

    title = "pseudo labels"
    kinds = ("covariate", "concept", "cannot tell")

    def weigh(self, domains: Domains, solve: Solve, seed: int) -> Weighted:  # noqa: ARG002
        """Return the last head. Raises DataError where no target example gets a label."""
        prior = np.bincount(domains.labels, minlength=domains.classes) / len(domains.labels)
        start = head = solve(domains.source, domains.labels, None)
        for share in np.linspace(self.first, self.last, self.rounds):
            rows, labels = surest(softmax(head.logits(domains.target), axis=1), share * prior)
            if not len(rows):
                raise DataError(f"{len(domains.target)} target examples are too few for pseudo labels")
            features = np.concatenate([domains.source, domains.target[rows]])
            head = solve(features, np.concatenate([domains.labels, labels]), None)
        spread = [float(one.logits(domains.target).std(axis=0).mean()) for one in (start, head)]
        scale = spread[0] / spread[1] if min(spread) > 0 else 1.0
        return Weighted(votes=((1.0, LinearHead(head.weight * scale, head.bias * scale)),))


def surest(probabilities: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows that get a label and these labels, both (some,).

    Args:
        probabilities: (examples, classes). shares: (classes,) of the examples that may get each class.
    """
    counts = np.floor(shares * len(probabilities)).astype(np.int64)
    ordered = -np.sort(-probabilities, axis=0)
    thresholds = np.where(counts > 0, ordered[np.maximum(counts, 1) - 1, np.arange(len(shares))], np.inf)
    ratios = probabilities / np.maximum(thresholds, 1e-300)
    rows = np.flatnonzero(ratios.max(axis=1) >= 1)
    return rows, ratios[rows].argmax(axis=1)
