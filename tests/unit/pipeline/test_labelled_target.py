"""Labelled target examples as a test of candidates: none is tested on what it was fit on."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.contracts.domains import Domains
from headstart.pipeline.adaptation.candidates import Adapted, candidate, solver
from headstart.pipeline.adaptation.labelled import FEWEST, right_on_labelled
from headstart.tasks.classification.task import BoundClassification, Classification

DRAWS = np.random.default_rng(0)
TASK = BoundClassification(settings=Classification(), classes=("a", "b"), counts=(40, 40))


def _domains(few: int) -> Domains:
    """Labels without a rule, in more features than examples: what is fit on them is right on all of them."""
    source, target, labelled = (DRAWS.normal(size=(count, 120)).astype(np.float32) for count in (80, 60, few))
    return Domains(source, np.arange(80) % 2, 2, target, labelled, np.arange(few) % 2)


@pytest.mark.slow
def test_a_candidate_that_learns_from_labels_is_tested_without_them_and_another_as_it_is() -> None:
    domains, solve = _domains(60), solver(TASK, None, 0)
    source = solve(domains.source, domains.labels, None)
    made = [
        candidate(family, name, domains, TASK, solve, 0)
        for family, name in (("alignment", "standardisation"), ("objectives", "mcc"))
    ]
    there = [one for one in made if isinstance(one, Adapted)]
    assert len(there) == 2
    found = right_on_labelled(domains, source, there, TASK, solve, 0)
    direct = [one.target(domains.target_labelled).argmax(axis=1) == domains.target_labels for one in there]
    assert found[1].tolist() == direct[0].tolist()
    assert direct[1].mean() > 0.9 and found[2].mean() < 0.75


def test_hardly_any_labels_prove_nothing() -> None:
    domains, solve = _domains(FEWEST - 1), solver(TASK, None, 0)
    assert right_on_labelled(domains, solve(domains.source, domains.labels, None), [], TASK, solve, 0) == []
