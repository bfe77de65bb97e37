"""The target of a fit: inputs of another domain. No label of theirs is read, whatever their files hold.

A few labelled examples of it may be given as data of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headstart.contracts.examples import Examples
from headstart.contracts.task import Targets
from headstart.engine.frozen.extract import Extracted
from headstart.kernel.errors import DataError, some
from headstart.kernel.progress import Reporter
from headstart.pipeline.data import Given, name_of, read_examples
from headstart.pipeline.listing import listed
from headstart.pipeline.plan import Plan
from headstart.pipeline.prepare import Prepared
from headstart.pipeline.record import DataIssue
from headstart.pipeline.unusable import issues_of, usable

FEWEST = 20
"""Target inputs below which nothing can be said of their distribution."""

Passed = Callable[[Examples, Sequence[str]], Extracted]
"""The frozen pass over examples with these content keys."""


@dataclass(frozen=True)
class Labelled:
    """Labelled examples of the target."""

    examples: Examples
    keys: Sequence[str]
    """Content key of each."""
    targets: Targets


@dataclass(frozen=True)
class Target:
    """Usable inputs of the target."""

    name: str
    """Path of the data, or their type in angle brackets."""
    examples: Examples
    keys: Sequence[str]
    """Content key of each."""
    unreadable: tuple[DataIssue, ...]
    """Inputs that are of no use, with the reason."""
    notes: tuple[str, ...]
    labelled: Labelled | None = None

    def told(self) -> tuple[str, ...]:
        """Return the notes, with one on inputs that are left out."""
        if not self.unreadable:
            return self.notes
        reasons = some([f"{issue.origin} {issue.reason}" for issue in self.unreadable], 3)
        return (*self.notes, f"Left out {len(self.unreadable):,} of the target's inputs: {reasons}")


@dataclass(frozen=True)
class EmbeddedTarget:
    """A target with its features, without what could not be read in the end."""

    data: Target
    pooled: np.ndarray
    """(target examples, width) float32"""
    labelled: np.ndarray
    """(labelled examples of the target, width) float32"""


def read_target(given: Given, plan: Plan, source: Prepared, reporter: Reporter) -> Target | None:
    """Read the target as the source is read, but for labels, groups and parts; None without one.

    Raises:
        DataError: too few inputs are of use, they are of another kind, or all of them are the source's own; or a label
            of the few that are given is none of the source's.
    """
    if given.target is None:
        return None
    name = name_of(given.target)
    with about(f"the target {name}"):
        there = listed(given.target, source.columns, plan, source.examples)
    examples, keys, useless = usable(there, reporter)
    if len(examples) < FEWEST:
        raise DataError(
            f"the target {name} has {len(examples)} usable inputs; at least {FEWEST} are needed to adapt to it. "
            "Leave --target out to fit the source alone."
        )
    known = set(source.keys)
    both = sum(key in known for key in keys)
    if both == len(keys):
        raise DataError(
            f"all {both:,} inputs of the target {name} are in the source as well: there is nothing to adapt to. "
            "Leave --target out."
        )
    notes = (f"{both:,} of {len(keys):,} target inputs are in the source as well",) if both else ()
    labelled = None if given.target_labels is None else _labelled(given.target_labels, plan, source, reporter)
    return Target(name, examples, keys, issues_of(there, useless), notes, labelled)


@contextmanager
def about(what: str) -> Iterator[None]:
    """Name what a DataError that is raised within is about."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{what}: {error}") from error


def embedded_target(target: Target, passed: Passed) -> EmbeddedTarget:
    """Send a target through the frozen backbone. Raises DataError where too little of it can be read."""
    found = passed(target.examples, target.keys)
    if found.failures:
        more = issues_of(target.examples, found.failures)
        if len(found.rows) < FEWEST:
            raise DataError(
                f"only {len(found.rows)} inputs of the target {target.name} can be read; at least {FEWEST} are needed. "
                f"{more[0].origin} {more[0].reason}"
            )
        keys = [target.keys[row] for row in found.rows]
        examples = target.examples.take(found.rows)
        target = replace(target, examples=examples, keys=keys, unreadable=(*target.unreadable, *more))
    pooled = found.pooled()
    if target.labelled is None:
        return EmbeddedTarget(target, pooled, np.empty((0, pooled.shape[1]), np.float32))
    of_few = passed(target.labelled.examples, target.labelled.keys)
    if of_few.failures:
        row, why = min(of_few.failures.items())
        raise DataError(f"a labelled example of the target, {target.labelled.examples.origins()[row]}, {why}")
    return EmbeddedTarget(target, pooled, of_few.pooled())


def _labelled(given: Any, plan: Plan, source: Prepared, reporter: Reporter) -> Labelled:
    settings = plan.settings.get("format", {})
    columns = source.columns.model_copy(update={"group": None, "domain": None, "slices": (), "part": None})
    with about(f"--target-labels {name_of(given)}"):
        examples, _ = read_examples(given, columns, format=plan.format, settings=settings)
        wanted, modality = source.examples.schema.modality, examples.schema.modality
        if modality != wanted:
            raise DataError(f"its inputs are of the kind {modality}, those of the source {wanted}")
        few, keys, useless = usable(examples, reporter)
        if issues := issues_of(examples, useless):
            raise DataError(f"{issues[0].origin} {issues[0].reason}")
        if both := {*keys} & {*source.keys}:  # some may be in the source's test part
            origin = few.origins()[next(row for row, key in enumerate(keys) if key in both)]
            raise DataError(f"{len(both):,} of its inputs are in the source as well, such as {origin}. Leave them out.")
        return Labelled(few, keys, source.task.targets(few))
