"""Outcomes of candidates: their predictions for held-out source examples and for the target, as validators see them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from headstart.contracts.domains import Domains
from headstart.contracts.presentation import presentation_of
from headstart.contracts.validator import Outcome
from headstart.evidence.shift_kind import Diagnosis, diagnose
from headstart.numerics.density_ratio import density_ratio
from headstart.pipeline.adaptation.candidates import LABEL, Adapted, Logits
from headstart.pipeline.adaptation.target import EmbeddedTarget
from headstart.pipeline.context import FitContext


@dataclass(frozen=True)
class Sides:
    """Both domains of a fit, and the source examples that no candidate is fit on."""

    domains: Domains
    """The source's training part, and the target."""
    groups: np.ndarray | None
    """(training examples,) held out together; None where none are."""
    held: np.ndarray
    """(validation examples, width) of the source."""
    held_labels: np.ndarray
    names: tuple[str, ...]
    """Of the classes."""
    ratios: np.ndarray
    """(validation examples,) density of the target over that of the source, with mean 1."""


def sides_of(context: FitContext, target: EmbeddedTarget) -> Sides:
    """Gather the features of both domains."""
    data, pooled = context.data, context.features.pooled
    labels, split = data.targets[LABEL], data.split
    names = dict(zip(labels.tolist(), presentation_of(data.task).labels(data.examples)))
    classes = max(int(labels.max()) + 1, len(getattr(data.task, "classes", ())))
    few = target.data.labelled
    domains = Domains(
        pooled(split.train),
        labels[split.train],
        classes,
        target.pooled,
        target.labelled,
        np.empty(0, np.int64) if few is None else few.targets[LABEL],
    )
    held = pooled(split.val) if len(split.val) else np.empty((0, domains.source.shape[1]), np.float32)
    names_of_all = tuple(str(names.get(k, k)) for k in range(classes))
    groups = data.kept_together(split.train)
    return sides_between(domains, groups, held, labels[split.val], names_of_all, context.plan.seed)


def sides_between(
    domains: Domains,
    groups: np.ndarray | None,
    held: np.ndarray,
    held_labels: np.ndarray,
    names: tuple[str, ...],
    seed: int,
) -> Sides:
    """Put both domains together with how much denser the target is at each held-out example of the source.

    Args:
        groups: (training examples,) held out together; None where none are.
        held: (validation examples, width) of the source. held_labels: (validation examples,).
    """
    ratios = density_ratio(held, domains.target, seed)
    return Sides(domains, groups, held, held_labels, names, ratios / ratios.mean() if len(ratios) else ratios)


def diagnosed(sides: Sides, seed: int) -> Diagnosis:
    """Tell the kind of the shift from the source's training part to the target."""
    domains = sides.domains
    return diagnose(domains.source, domains.target, domains.labels, None, sides.names, seed)


def outcome(sides: Sides, source: Logits, target: Logits) -> Outcome:
    """The predictions of a head as the source, and as the target sees it."""

    def predict(features: np.ndarray) -> np.ndarray:
        return np.asarray(softmax(target(features), axis=1))

    return Outcome(
        softmax(source(sides.held), axis=1) if len(sides.held) else np.empty((0, sides.domains.classes)),
        sides.held_labels,
        predict(sides.domains.target),
        sides.held,
        sides.domains.target,
        sides.ratios,
        predict,
    )


def outcome_of(sides: Sides, candidate: Adapted) -> Outcome:
    """The predictions of a candidate."""
    return outcome(sides, candidate.source, candidate.target)
