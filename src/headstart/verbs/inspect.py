"""inspect: what is wrong with the data, before anything is trained. Bad data are findings here, not errors."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.contracts.modality import Sizes, modality_named
from headstart.contracts.presentation import review_of
from headstart.contracts.review import Review
from headstart.engine.frozen.content_keys import content_keys
from headstart.evidence.duplicates import Duplicates, find_duplicates
from headstart.evidence.given_parts import read_given
from headstart.evidence.image_fingerprints import SIDE
from headstart.kernel.errors import DataError, SettingsError
from headstart.kernel.progress import Quiet, Reporter
from headstart.pipeline.data import NO_SETTINGS, read_examples
from headstart.pipeline.destination import require_cache_apart
from headstart.pipeline.findings import findings_of
from headstart.pipeline.inspection import Conflict, Copy, Finding, Inspection, Severity, Spread
from headstart.pipeline.prepare import tasks_in_turn
from headstart.pipeline.record import DataIssue
from headstart.pipeline.unusable import unusable

MOST_SHOWN = 50
"""Copies that are listed; all are counted."""


def inspect(
    data: Any,
    *,
    text: str | Sequence[str] = (),
    image: str | None = None,
    label: str | Sequence[str] | None = None,
    group: str | None = None,
    slices: str | Sequence[str] = (),
    part: str | None = None,
    format: str | None = None,
    settings: Mapping[str, Mapping[str, Any]] = NO_SETTINGS,
    reporter: Reporter | None = None,
) -> Inspection:
    """Look at every example once.

    Args:
        data: a folder of images, a table, a pandas frame or a Hugging Face dataset.
        text: text column, or two for pairs. image: column of image paths. label: target column, or several of 0 and 1.
        group: column (or regular expression over image paths) of what must not be split.
        slices: columns whose values get figures of their own. part: column that says train, val or test.
        format: how the data lie; recognised without it.
        settings: settings of the format, such as {"format": {"decimal": "comma"}}.
        reporter: shows progress; silent without it.

    Raises:
        SettingsError: settings of anything but the format, or none that it has.
        DataError: there is nothing that could be looked at.
    """
    require_cache_apart(data)
    reporter = reporter or Quiet()
    columns = Columns(text=text, image=image, label=label, group=group, slices=slices, part=part)
    strange = sorted({*settings} - {"format"})
    if strange:
        raise SettingsError(
            f"--set {strange[0]}: to inspect data only settings of the format are needed, format.KEY=VALUE"
        )
    examples, seen, faults = _read(data, columns, format, settings.get("format", {}))
    hashed = content_keys(examples, reporter)
    copies = find_duplicates(examples, hashed.keys, reporter)
    origins = examples.origins()
    failures = sorted({**copies.failures, **hashed.failures}.items())
    inputs = _inputs(examples, copies, origins)
    reviews, about_labels = _reviews(examples)
    spreads = {
        name: _spread(values, review.unit) for review in reviews for name, values in review.spreads.items() if values
    }
    found: dict[str, Any] = {
        "source": str(data) if isinstance(data, (str, Path)) else f"<{type(data).__name__}>",
        "seen": seen,
        "modality": examples.schema.modality,
        "examples": len(examples),
        "unreadable": tuple(DataIssue(origin=origins[row], reason=reason) for row, reason in failures),
        **_copies(copies, origins),
        **_labels(reviews, copies, origins),
        **inputs,
        "spreads": {**inputs["spreads"], **spreads},
    }
    leaks, about_parts = _across_parts(examples, copies, origins)
    told = (*examples.notes, *_decoding(examples))
    notes = [Finding(severity="note", text=note) for note in told]
    findings = (*faults, *about_labels, *about_parts, *notes, *found.pop("findings"))
    inspection = Inspection(**found, leaks=leaks, parts=_parts(examples), findings=findings)
    return inspection.model_copy(update={"findings": findings_of(inspection, _classes_by_part(examples, reviews))})


def _read(
    data: Any, columns: Columns, format: str | None, settings: Mapping[str, Any]
) -> tuple[Examples, str, list[Finding]]:
    """The data with labels, or, where that fails, without them and with the reason."""
    try:
        return *read_examples(data, columns, format=format, settings=settings), []
    except DataError as error:
        try:
            examples, seen = read_examples(data, columns, format=format, settings=settings, labelled=False)
        except DataError:
            raise error from None
        return examples, seen, [Finding(severity="error", text=str(error))]


def _decoding(examples: Examples) -> tuple[str, ...]:
    """How inputs are decoded by what training inputs hold: those of the given training part, or all."""
    part = examples.schema.part
    rows = None if part is None else [row for row, name in enumerate(examples.column(part)) if name == "train"]
    return modality_named(examples.schema.modality).decoding(examples.raws(rows or None))


def _copies(copies: Duplicates, origins: Sequence[str]) -> dict[str, Any]:
    pairs = [(*pair, True) for pair in copies.exact] + [(*pair, False) for pair in copies.near]
    repeated = len(origins) - len(np.unique(copies.cluster))
    return {
        "exact_duplicates": len(copies.exact),
        "near_duplicates": repeated - len(copies.exact),
        "copies": tuple(Copy(one=origins[a], other=origins[b], exact=exact) for a, b, exact in pairs[:MOST_SHOWN]),
    }


def _reviews(examples: Examples) -> tuple[list[Review], list[Finding]]:
    """The reviews of the tasks that the labels suit, with their findings; labels of no clear kind are a fault."""
    reviews: list[Review] = []
    faults: dict[str, None] = {}
    for tasks in tasks_in_turn():
        for task in () if reviews else tasks.values():
            try:
                if task.suits(examples) and (review := review_of(task, examples)):
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


def _inputs(examples: Examples, copies: Duplicates, origins: Sequence[str]) -> dict[str, Any]:
    """Sizes, and inputs with nothing in them."""
    found: dict[str, Any] = {
        "unusable": tuple(DataIssue(origin=origins[row], reason=why) for row, why in unusable(examples).items())
    }
    if copies.fingerprints is not None:
        records, record_of = copies.fingerprints.records, copies.fingerprints.record_of
        blank = np.ptp(records["pixels"].reshape(-1, SIDE * SIDE), axis=1) <= 1
        plain = copies.fingerprints.rows[blank[record_of]]
        sizes = Sizes({name: records[name][record_of] for name in ("width", "height")}, unit="px")
        found["constant_images"] = tuple(origins[row] for row in plain)
    else:
        sizes = modality_named(examples.schema.modality).sizes(examples.raws(), examples.schema.inputs)
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
