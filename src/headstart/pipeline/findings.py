"""Findings of an inspection, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from headstart.kernel.errors import some
from headstart.kernel.spelling import nearly_alike
from headstart.pipeline.inspection import Finding, Inspection, Severity, Spread

_ORDER: dict[Severity, int] = {"error": 0, "warning": 1, "note": 2}
_TINY_CLASS = 10
"""Examples below which a class can hardly be split and judged."""
_IMBALANCE = 10
"""Ratio of the largest class to the smallest from which it is told."""

_SMALL_PICTURE = 28
"""Pixels below which pictures are told to be small."""
_MANY_TIMES = 20
"""Ratio of the largest picture to the smallest from which it is told."""

_LISTED = (" cannot be read: ", " cannot be learnt from: ", " outside the train part with a copy in it: ")
"""Words of warnings on examples that the record of a fit names one by one."""


def findings_of(found: Inspection, classes_by_part: Mapping[str, set[str]]) -> tuple[Finding, ...]:
    """Every finding, gravest first: those that `found` holds already, and what its numbers say."""
    sentences = [
        *_about_labels(found),
        *_about_classes(found, classes_by_part),
        *_about_copies(found),
        *_about_inputs(found),
        *_about_sizes(found),
    ]
    new = [Finding(severity=severity, text=text) for severity, text in sentences]
    return gravest_first([*found.findings, *new])


def gravest_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Order findings by severity."""
    return tuple(sorted(findings, key=lambda finding: _ORDER[finding.severity]))


def repeated(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Return the warnings that a fit repeats: all but those that its record lists one by one."""
    told = (finding.text for finding in findings if finding.severity == "warning")
    return tuple(text for text in told if not any(listed in text for listed in _LISTED))


_Sentences = Iterator[tuple[Severity, str]]


def _about_labels(found: Inspection) -> _Sentences:
    if found.missing_labels and not any("no label" in finding.text for finding in found.findings):
        yield "error", f"{found.missing_labels} of {found.examples} examples have no label"
    if found.conflicts:
        first = found.conflicts[0]
        labelled = some([f"{origin} ({label})" for origin, label in zip(first.origins, first.labels)])
        yield (
            "warning",
            f"{_count(found.conflicts, 'input')} with copies that have different labels, such as {labelled}",
        )


def _about_classes(found: Inspection, classes_by_part: Mapping[str, set[str]]) -> _Sentences:
    if not found.classes:
        return
    listed = ", ".join(f"{name} {count}" for name, count in list(found.classes.items())[:20])
    of = "with any number of" if found.several else "in"
    yield "note", f"{found.examples} examples {of} {_count(found.classes, 'class', 'classes')}: {listed}"
    tiny = [f"'{name}' ({count})" for name, count in found.classes.items() if count < _TINY_CLASS]
    if tiny:
        yield "warning", f"{_count(tiny, 'class', 'classes')} with fewer than {_TINY_CLASS} examples: {some(tiny)}"
    least, most = min(found.classes.values()), max(found.classes.values())
    if most >= _IMBALANCE * least:
        what = "the largest class is {:.0f} times the smallest: plain accuracy will flatter the model"
        if found.several:
            what = "the most common class is {:.0f} times as frequent as the rarest: look at the figures of each class"
        yield "warning", what.format(most / least)
    for sentence in alike(found.classes):
        yield "warning", sentence
    trained = classes_by_part.get("train", set())
    for part, names_in_part in classes_by_part.items():
        if trained and names_in_part - trained:
            yield "warning", f"classes in {part} that are missing from train: {some(sorted(names_in_part - trained))}"


def alike(classes: Iterable[str]) -> tuple[str, ...]:
    """A sentence for every group of classes that may be one."""
    groups = nearly_alike(classes)
    return tuple(f"classes that differ only in case or spaces: {', '.join(map(repr, names))}" for names in groups)


def _about_copies(found: Inspection) -> _Sentences:
    if found.leaks:
        named = some([f"{leak.one} of {leak.other}" for leak in found.leaks])
        yield (
            "warning",
            f"{_count(found.leaks, 'example')} outside the train part with a copy in it: figures on it would be too "
            f"good. {named}",
        )
    if found.exact_duplicates or found.near_duplicates:
        example = f", such as {found.copies[0].other} of {found.copies[0].one}" if found.copies else ""
        yield (
            "warning",
            f"{found.exact_duplicates} exact and {found.near_duplicates} near duplicates of earlier examples{example}",
        )


def _about_inputs(found: Inspection) -> _Sentences:
    if found.unreadable:
        reasons = [f"{trouble.origin} {trouble.reason}" for trouble in found.unreadable]
        everything = len(found.unreadable) == found.examples
        yield "error" if everything else "warning", f"{_count(reasons, 'file')} cannot be read: {some(reasons)}"
    if found.unusable:
        reasons = [f"{trouble.origin} {trouble.reason}" for trouble in found.unusable]
        yield "warning", f"{len(reasons)} of {found.examples} examples cannot be learnt from: {some(reasons)}"
    if found.constant_images:
        yield (
            "warning",
            f"{_count(found.constant_images, 'picture')} of a single colour: {some(found.constant_images)}",
        )


def _about_sizes(found: Inspection) -> _Sentences:
    sides = [found.spreads[name] for name in ("width", "height") if name in found.spreads]
    if sides and max(side.median for side in sides) < _SMALL_PICTURE:
        shown = " x ".join(f"{side.median:g}" for side in sides)
        yield (
            "warning",
            f"the pictures are small ({shown} px in the median): a backbone reads them enlarged",
        )
    for name, side in zip(("wide", "high"), sides):
        if side.maximum >= _MANY_TIMES * side.minimum:
            extent = f"from {side.minimum:g} to {side.maximum:g} px {name}"
            yield "warning", f"the pictures differ much in size, {extent}: all are brought to one size"
    for name, spread in list(found.spreads.items())[:20]:
        yield "note", f"{name}: {_in_words(spread)}"


def _in_words(spread: Spread) -> str:
    unit = f" {spread.unit}" if spread.unit else ""
    if spread.minimum == spread.maximum:
        return f"always {spread.minimum:g}{unit}"
    return f"{spread.minimum:g} to {spread.maximum:g}{unit}, median {spread.median:g}"


def _count(things: Sequence[object] | Mapping[str, int], one: str, many: str = "") -> str:
    return f"{len(things)} {one if len(things) == 1 else many or one + 's'}"
