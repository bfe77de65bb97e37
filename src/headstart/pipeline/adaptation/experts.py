"""Experts: a head for each source domain, weighted by a classifier of the domain.

Hoffman, Mohri & Zhang 2018 ("Algorithms and theory for multiple-source adaptation"), after Mansour et al. 2008:

    p(y | x) = sum_j g_j(x) p_j(y | x),   g = softmax of a linear classifier of the source domains

p_j is the head of domain j, and g weighs each target example by the domains that it looks like. Both are fit on the
source alone, domains counting alike in g. The paper has weights of the domains beside g, which labels would be needed
for; here they are equal. Beside the experts stands the best single one: that with the most right answers on held-out
examples of the other domains.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import softmax

from headstart.contracts.domains import Domains, LinearHead, Solve
from headstart.contracts.head_shape import HeadShape, Mixture
from headstart.engine.solved.logistic import solve_logistic
from headstart.evidence.agreement import SEVERAL
from headstart.pipeline.adaptation.candidates import Adapted, Skipped, linear, logits_of
from headstart.pipeline.adaptation.outcomes import Sides
from headstart.pipeline.context import FitContext
from headstart.pipeline.stream_rows import domains_of

FEWEST = 10
"""Examples of a domain that has an expert."""


class Held(NamedTuple):
    """Source examples that no head is fit on."""

    features: np.ndarray
    """(examples, width)"""
    labels: np.ndarray
    """(examples,)"""
    of: np.ndarray
    """(examples,) names of their domains"""


def expert_candidates(context: FitContext, sides: Sides, solve: Solve) -> Iterator[Adapted | Skipped]:
    """Make the experts and the best single one, where the source has several domains."""
    if context.data.examples.schema.domain is None:
        return
    of, split = domains_of(context.data.examples), context.data.split
    if len(set(of[split.train].tolist())) > 1:
        held = Held(sides.held, sides.held_labels, of[split.val])
        yield from experts(sides.domains, of[split.train], held, solve, context.plan.seed)


def experts(domains: Domains, of: np.ndarray, held: Held, solve: Solve, seed: int) -> tuple[Adapted | Skipped, ...]:
    """Make the mixture of experts, then the best single expert, where held-out examples tell which it is.

    Args:
        domains: the source of all domains, and the target.
        of: (source examples,) names of their domains.
        solve: solves a head; one of each domain comes from it.
        seed: of the folds by which the classifier of the domain is regularised.
    """
    started, title = time.monotonic(), "an expert for each domain"
    names = [name for name in sorted(set(of.tolist())) if _teaches(domains.labels[of == name])]
    if len(names) < 2:
        reason = f"fewer than two domains have {FEWEST} examples of two classes"
        return (Skipped("experts", SEVERAL, title, reason),)
    heads = [solve(domains.source[of == name], domains.labels[of == name], None) for name in names]
    mixture = Mixture(domains.source.shape[1], [linear(head) for head in heads], gated=True)
    gate = _gate(domains.source, of, names, seed)
    mixture.gate = linear(gate)
    shares = softmax(gate.logits(domains.target), axis=1).mean(axis=0)
    note = "weights on the target: " + ", ".join(f"{n} {100 * s:.0f} %" for n, s in zip(names, shares))
    shape, seconds = HeadShape(members=len(heads), gated=True), time.monotonic() - started
    both = Adapted("experts", SEVERAL, title, shape, mixture, lambda x: logits_of(mixture, x), seconds, note)
    return (both, _single(names, heads, held, seconds)) if len(held.labels) else (both,)


def _single(names: Sequence[str], heads: Sequence[LinearHead], held: Held, seconds: float) -> Adapted:
    """The expert with the most right answers on held-out examples of the other domains."""
    right = [_accuracy(head, held, held.of != name) for name, head in zip(names, heads)]
    best = int(np.argmax(right))
    note = f"best of {len(names)} domains alone, {100 * right[best]:.1f} % right on the others' validation examples"
    head = heads[best]
    return Adapted("single", SEVERAL, f"{names[best]} alone", HeadShape(), linear(head), head.logits, seconds, note)


def _gate(features: np.ndarray, of: np.ndarray, names: Sequence[str], seed: int) -> LinearHead:
    """The classifier of the domain; domains count alike, and the rows of others do not."""
    rows = np.isin(of, names)
    number = np.searchsorted(names, of[rows].astype(str))
    counts = np.bincount(number, minlength=len(names))
    weights = len(number) / (len(names) * counts[number])
    found = solve_logistic(features[rows], number, len(names), weights=weights, groups=None, seed=seed)
    return LinearHead(found.weight, found.bias)


def _accuracy(head: LinearHead, held: Held, rows: np.ndarray) -> float:
    if not rows.any():
        return 0.0
    return float((head.logits(held.features[rows]).argmax(axis=1) == held.labels[rows]).mean())


def _teaches(labels: np.ndarray) -> bool:
    return len(labels) >= FEWEST and len(np.unique(labels)) > 1
