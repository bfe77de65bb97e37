"""Labelled examples of the target as a test: which of them is each candidate right on that was not fit on them?

Candidates that learn from these labels are made again without each part of them in turn (cross-fitting); the others
have never seen them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headstart.contracts.domains import Domains, LinearHead, Solve
from headstart.contracts.task import BoundTask
from headstart.evidence.folds import folds
from headstart.kernel import registry
from headstart.pipeline.adaptation.candidates import Adapted, again

FEWEST, PARTS = 20, 4
"""Labelled examples below which they prove nothing, and parts of cross-fitting."""


def right_on_labelled(
    domains: Domains, source: LinearHead, made: Sequence[Adapted], task: BoundTask, solve: Solve, seed: int
) -> list[np.ndarray]:
    """Return for the source model and each candidate which labelled examples it is right on, (few,) bool.

    A candidate that cannot be made without a part of them is wrong on that part. Empty where there are fewer than
    `FEWEST`.
    """
    labels = domains.target_labels
    if len(labels) < FEWEST:
        return []
    found = [source.logits(domains.target_labelled).argmax(axis=1) == labels]
    for one in made:
        if not _learns_labels(one):
            found.append(one.target(domains.target_labelled).argmax(axis=1) == labels)
            continue
        right = np.zeros(len(labels), bool)
        for part in folds(np.arange(len(labels)), np.zeros_like(labels), None, PARTS, seed):
            rest = domains._replace(target_labelled=domains.target_labelled[part.rest], target_labels=labels[part.rest])
            anew = again(one, rest, task, solve, seed)
            if isinstance(anew, Adapted):
                guesses = anew.target(domains.target_labelled[part.held]).argmax(axis=1)
                right[part.held] = guesses == labels[part.held]
        found.append(right)
    return found


def _learns_labels(one: Adapted) -> bool:
    if one.family == "objectives" or any(map(_learns_labels, one.members)):
        return True
    return one.family == "weighting" and bool(registry.plugin(one.family, one.name).needs_target_labels)
