"""The product's own decision for a target on kept features, and how it fares by the target's labels."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from benchmarks._domain_features import Domain
from benchmarks._paired import mcnemar, significantly_worse
from headstart.contracts.domains import Domains
from headstart.pipeline.adaptation.candidates import Adapted, again, solver
from headstart.pipeline.adaptation.decide import Decided, decide
from headstart.pipeline.adaptation.outcomes import Sides, diagnosed, sides_between
from headstart.pipeline.record import SOURCE_MODEL
from headstart.tasks.classification.task import BoundClassification, Classification

HELD_OUT = 0.3
"""Share of the source that candidates are judged on."""


def decided(source: Domain, target: Domain, name: str) -> dict[str, Any]:
    """Diagnose, make candidates, choose, and fit the choice on the whole source, as a fit does; then look at labels.

    The oracle is the best candidate, or the source model, by the target's labels. Seconds are the processor's, of one
    thread, so that other programs do not count.
    """
    torch.set_num_threads(1)
    threadpool_limits(1, user_api="blas")
    started, names = time.process_time(), [str(k) for k in range(int(source.labels.max()) + 1)]
    task = task_of(source.labels, names)
    sides, solve = sides_of(source, target.features, names), solver(task, None, 0)
    diagnosis = diagnosed(sides, 0)
    made = decide(sides, diagnosis, task, solve, 0)
    candidates, decision, winner = named(made), made.decision, made.winner
    whole = sides.domains._replace(source=source.features, labels=source.labels)
    before = right = solve(*source, None).logits(target.features).argmax(axis=1) == target.labels
    if winner is not None:
        anew = again(winner, whole, task, solve, 0)
        chosen = anew if isinstance(anew, Adapted) else winner
        right = chosen.target(target.features).argmax(axis=1) == target.labels
    seconds = time.process_time() - started
    outcomes = [one.outcome.target.argmax(axis=1) for one in made.judged[1:]]
    accuracy = {name: _percent(found == target.labels) for name, found in zip(candidates[1:], outcomes)}
    return {
        "case": name,
        "diagnosed": diagnosis.kind,
        "chosen": candidates[decision.place],
        "reason": decision.reason,
        "source_accuracy": _percent(before),
        "accuracy": _percent(right),
        "gain": round(_percent(right) - _percent(before), 2),
        "oracle": round(max([*accuracy.values(), _percent(before)]) - _percent(before), 2),
        "p": mcnemar(right, before),
        "candidates": accuracy,
        "agreement": {name: round(one.agreement, 3) for name, one in zip(candidates, decision.table)},
        "vetoes": {name: one.vetoes for name, one in zip(candidates, decision.table) if one.vetoes},
        "estimate": [round(100 * value, 1) for value in decision.accuracy[:3]],
        "seconds": round(seconds, 1),
    }


def named(made: Decided) -> list[str]:
    """The source model and each candidate by family and name: two families may have one of the same name."""
    return [SOURCE_MODEL, *(f"{one.family}/{one.name}" for one in made.there)]


def worse_cases(found: Sequence[dict[str, Any]]) -> list[str]:
    """Cases in which the decision is significantly worse than the source model."""
    worse = significantly_worse([one["p"] for one in found], [one["gain"] for one in found])
    return [found[place]["case"] for place in worse]


def mean_of(found: Sequence[dict[str, Any]], key: str) -> float:
    """Mean of a number over cases."""
    return round(float(np.mean([one[key] for one in found])), 2)


def task_of(labels: np.ndarray, names: Sequence[str]) -> BoundClassification:
    """The task of telling classes that are numbered from 0 on."""
    counts = tuple(np.bincount(labels, minlength=len(names)).tolist())
    return BoundClassification(settings=Classification(), classes=tuple(names), counts=counts)


def sides_of(source: Domain, target: np.ndarray, names: Sequence[str], held_out: float = HELD_OUT) -> Sides:
    """Both domains, a share of the source held out to judge by."""
    order = np.random.default_rng(0).permutation(len(source.labels))
    fit, held = np.split(order, [int((1 - held_out) * len(order))])
    none = np.empty((0, source.features.shape[1]), np.float32)
    domains = Domains(source.features[fit], source.labels[fit], len(names), target, none, np.empty(0, np.int64))
    return sides_between(domains, None, source.features[held], source.labels[held], tuple(names), 0)


def _percent(right: np.ndarray) -> float:
    return round(100 * float(right.mean()), 2)
