"""Agreement of candidates for a target without labels: do heads that were adapted in other ways say the same?

The judges of a candidate are the others, by the mean of their probabilities, as in Hu et al. 2023 ("Towards reliable
model selection for unsupervised domain adaptation: an empirical study and a certified baseline"), who choose by an
ensemble of all candidates. Agreement is Cohen's kappa (1960), 1 where both always say the same and 0 where no more
often than by chance with their shares of classes: two that give nearly everything one class do not thereby agree.

Heads with weighted source examples or classes are no judges: they are the source model but for the mix of classes, and
would side with it. Nor are heads of single source domains, and mixtures of these, nor the ensemble, which would agree
with its own members; its agreement is that of the member that has most.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from headstart.contracts.validator import Outcome

SEVERAL, ENSEMBLE = "domains", "ensemble"
"""Families of heads that are made of single source domains, and of the mean of adapted heads."""


class Candidate(NamedTuple):
    """A model that may be shipped for the target."""

    name: str
    family: str
    """'source', the folder of its plug-in ('alignment', 'weighting', 'objectives'), `SEVERAL` or `ENSEMBLE`."""
    outcome: Outcome

    @property
    def judges(self) -> bool:
        """Return whether it is asked about the others."""
        return self.family not in ("weighting", SEVERAL, ENSEMBLE)


def agreements(everyone: Sequence[Candidate]) -> list[float]:
    """Return the kappa of each candidate with its judges, NaN where it has none."""
    found = []
    for one in everyone:
        judges = [other.outcome.target for other in everyone if other is not one and other.judges]
        classes = one.outcome.target.argmax(axis=1)
        judged = np.mean(judges, axis=0).argmax(axis=1) if judges else None
        found.append(float("nan") if judged is None else kappa(classes, judged, one.outcome.target.shape[1]))
    most = max((k for one, k in zip(everyone[1:], found[1:]) if one.judges), default=float("nan"))
    return [most if one.family == ENSEMBLE else k for one, k in zip(everyone, found)]


def kappa(one: np.ndarray, other: np.ndarray, classes: int) -> float:
    """Return Cohen's kappa of two sets of classes (examples,); 0 where both say one class only."""
    shares = [np.bincount(some, minlength=classes) / len(some) for some in (one, other)]
    chance = float(shares[0] @ shares[1])
    return (float((one == other).mean()) - chance) / (1 - chance) if chance < 1 else 0.0
