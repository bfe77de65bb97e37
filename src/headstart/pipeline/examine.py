"""Examining data: sizes, classes, copies and columns of everything that was read, usable or not.

`inspect` shows all of it; a fit repeats what is a warning.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from headstart.contracts.bound_task import tasks_in_turn
from headstart.contracts.examples import Examples
from headstart.contracts.modality import Sizes, modality_named, raws_of
from headstart.contracts.presentation import review_of
from headstart.contracts.review import Review
from headstart.evidence.duplicates import Duplicates
from headstart.evidence.given_parts import read_given
from headstart.evidence.image_fingerprints import SIDE
from headstart.kernel import registry
from headstart.kernel.errors import DataError
from headstart.pipeline.column_findings import about_columns
from headstart.pipeline.findings import findings_of
from headstart.pipeline.inspection import Conflict, Copy, Finding, Inspection, Severity, Spread
from headstart.pipeline.plan_file import AUTO
from headstart.pipeline.prepare import SeenData
from headstart.pipeline.unusable import issues_of

MOST_SHOWN = 50
"""Copies that are listed; all are counted."""


def examine(seen: SeenData, source: str, task: str) -> Inspection:
    """Look at data for one task, or with 'auto' for each that their labels suit; findings gravest first."""
    examples, copies, origins = seen.examples, seen.copies, seen.examples.origins()
    inputs = _inputs(seen, origins)
    reviews, about_labels = reviews_of(examples, task)
    spreads = {
        name: _spread(values, review.unit) for review in reviews for name, values in review.spreads.items() if values
    }
    found: dict[str, Any] = {
        "source": source,
        "seen": seen.seen,
        "modality": examples.schema.modality,
        "examples": len(examples),
        **_copies(copies, origins),
        **_labels(reviews, copies, origins),
        **inputs,
        "spreads": {**inputs["spreads"], **spreads},
    }
    leaks, about_parts = _across_parts(examples, copies, origins)
    columns = [Finding(severity="warning", text=text) for text in about_columns(examples)]
    findings = (*about_labels, *about_parts, *columns, *found.pop("findings"))
    inspection = Inspection(**found, leaks=leaks, parts=_parts(examples), findings=findings)
    return inspection.model_copy(update={"findings": findings_of(inspection, _classes_by_part(examples, reviews))})


def _copies(copies: Duplicates, origins: Sequence[str]) -> dict[str, Any]:
    pairs = [(*pair, True) for pair in copies.exact] + [(*pair, False) for pair in copies.near]
    repeated = len(origins) - len(np.unique(copies.cluster))
    return {
        "exact_duplicates": len(copies.exact),
        "near_duplicates": repeated - len(copies.exact),
        "copies": tuple(Copy(one=origins[a], other=origins[b], exact=exact) for a, b, exact in pairs[:MOST_SHOWN]),
    }


def reviews_of(examples: Examples, task: str) -> tuple[list[Review], list[Finding]]:
    """The reviews of the tasks that the labels suit, with their findings; labels of no clear kind are a fault."""
    reviews: list[Review] = []
    faults: dict[str, None] = {}
    for kinds in tasks_in_turn() if task == AUTO else ({task: registry.plugin("tasks", task)},):
        for kind in () if reviews else kinds.values():
            try:
                if (kind.suits(examples) or (task != AUTO and examples.schema.targets)) and (
                    review := review_of(kind, examples)
                ):
                    reviews.append(review)
            except DataError as error:
                faults[str(error)] = None  # of several tasks in the same words
    said: list[tuple[Severity, str]] = [("error", text) for text in faults]
    for review in reviews:
        said += [("error", text) for text in review.faults]
        said += [("warning", text) for text in review.warnings]
        said += [("note", text) for text in review.notes]
    return reviews, [Finding(severity=severity, text=text) for severity, text in said]


def _labels(reviews: Sequence[Review], copies: Duplicates, origins: Sequence[str]) -> dict[str, Any]:
    """Classes, missing labels and copies that have different labels."""
    labels = next((review.labels for review in reviews if review.labels), ())
    clusters: defaultdict[int, list[int]] = defaultdict(list)
    for row, (cluster, label) in enumerate(zip(copies.cluster.tolist(), labels)):
        if label is not None:
            clusters[cluster].append(row)
    contradicting = [rows for rows in clusters.values() if len({labels[row] for row in rows}) > 1]
    return {
        "several": any(label is not None and len(label) != 1 for label in labels),
        "missing_labels": max((review.missing for review in reviews), default=0),
        "classes": dict(sorted(Counter(name for label in labels for name in label or ()).items())),
        "conflicts": tuple(
            Conflict(
                origins=tuple(origins[row] for row in rows),
                labels=tuple(", ".join(labels[row] or ()) for row in rows),
            )
            for rows in contradicting
        ),
    }


def _inputs(seen: SeenData, origins: Sequence[str]) -> dict[str, Any]:
    """Sizes, and inputs that cannot be read or have nothing in them."""
    examples, copies = seen.examples, seen.copies
    found: dict[str, Any] = {
        name: issues_of(examples, rows) for name, rows in (("unreadable", seen.unreadable), ("unusable", seen.unusable))
    }
    if copies.fingerprints is not None:
        records, record_of = copies.fingerprints.records, copies.fingerprints.record_of
        blank = np.ptp(records["pixels"].reshape(-1, SIDE * SIDE), axis=1) <= 1
        plain = copies.fingerprints.rows[blank[record_of]]
        sizes = Sizes({name: records[name][record_of] for name in ("width", "height")}, unit="px")
        found["constant_images"] = tuple(origins[row] for row in plain)
    else:
        sizes = modality_named(examples.schema.modality).sizes(raws_of(examples), examples.schema.inputs)
    found["spreads"] = {name: _spread(values, sizes.unit) for name, values in sizes.values.items() if len(values)}
    return found | {"findings": tuple(Finding(severity="note", text=note) for note in sizes.notes)}


def _parts(examples: Examples) -> dict[str, int]:
    if examples.schema.part is None:
        return {}
    counts = Counter(examples.column(examples.schema.part))
    return {name: counts[name] for name in ("train", "val", "test") if counts[name]}


def _classes_by_part(examples: Examples, reviews: Sequence[Review]) -> dict[str, set[str]]:
    """Part -> names of its classes; empty without classes or parts."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    if examples.schema.part is not None:
        for review in reviews:
            for part, label in zip(examples.column(examples.schema.part), review.labels):
                found[part].update(label or ())
    return dict(found)


def _across_parts(
    examples: Examples, copies: Duplicates, origins: Sequence[str]
) -> tuple[tuple[Copy, ...], list[Finding]]:
    """Copies across the given split, and what else is wrong with it."""
    if examples.schema.part is None:
        return (), []
    group = examples.schema.group
    try:
        given = read_given(
            examples.column(examples.schema.part),
            copies.cluster,
            copies.cluster,
            None if group is None else examples.column(group),
        )
    except DataError as error:
        return (), [Finding(severity="warning", text=str(error))]
    exact = {frozenset(pair) for pair in copies.exact}
    leaks = (Copy(one=origins[a], other=origins[b], exact=frozenset((a, b)) in exact) for a, b in given.leaks)
    findings = [Finding(severity="warning", text=sentence) for sentence in given.shared]
    return tuple(leaks), findings + [Finding(severity="note", text=note) for note in given.notes]


def _spread(values: Sequence[float] | np.ndarray, unit: str) -> Spread:
    numbers = np.asarray(values, dtype=np.float64)
    low, middle, high = numbers.min(), np.median(numbers), numbers.max()
    return Spread(minimum=float(low), median=float(middle), maximum=float(high), unit=unit)
