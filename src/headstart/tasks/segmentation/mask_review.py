"""Review of masks before training: which classes are where, and what a fit would refuse or learn wrongly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headstart.contracts.examples import Examples
from headstart.contracts.review import Review
from headstart.kernel.errors import DataError
from headstart.tasks.segmentation.mask_classes import (
    BACKGROUND,
    Classes,
    differing,
    pixels_of,
    require_known,
    understand,
)
from headstart.tasks.segmentation.mask_scan import Seen, faults_of, looked, sources
from headstart.tasks.segmentation.whole_view import choose_view, told

FEW = 10
"""Pictures with a class below which it can hardly be split and judged."""

VOID = 255
"""The value that many data sets give to pixels of which nothing is known."""


def review_masks(examples: Examples) -> Review:
    """Faults, warnings and notes, and the share of each class in each picture, in percent."""
    try:
        found = looked(examples)
    except DataError as error:
        return Review(faults=(str(error),))
    faults = faults_of(examples, found)
    rows = [row for row, one in enumerate(found) if isinstance(one, Seen)]
    usable, seen = examples.take(rows), [one for one in found if isinstance(one, Seen)]
    if not seen:
        return Review(faults=faults)
    try:
        classes = understand(seen, examples.schema.legend, ignored=examples.schema.unknown)
        require_known(seen, classes, usable)
    except DataError as error:
        return Review(faults=(*faults, str(error)))
    pixels = np.array([pixels_of(mask, classes) for mask in seen])
    shares = 100 * pixels / np.maximum(pixels.sum(axis=1, keepdims=True), 1)
    shown = [k for k, name in enumerate(classes.names) if name.lower() != BACKGROUND]
    view = choose_view(seen, sources(usable), classes, shown, None, None)
    viewed = tuple(f"{choice.what}: {choice.value}; {choice.reason}" for choice in told(view))
    return Review(
        faults=faults,
        warnings=_warnings(usable, pixels, classes, shown),
        notes=(*_notes(seen, pixels, classes), *viewed),
        unit="% of a picture",
        spreads={f"share of {name}": shares[:, k].round(2).tolist() for k, name in enumerate(classes.names)},
    )


def _warnings(examples: Examples, pixels: np.ndarray, classes: Classes, shown: Sequence[int]) -> tuple[str, ...]:
    pictures = (pixels > 0).sum(axis=0)
    empty = np.flatnonzero(pixels[:, shown].sum(axis=1) == 0).tolist() if len(shown) < len(classes.names) else []
    found = [f"{len(empty)} of {len(pixels)} masks hold background alone: {examples.named(empty)}"] if empty else []
    found += [f"class '{classes.names[k]}' is in no mask" for k in shown if not pictures[k]]
    rare = [f"'{classes.names[k]}' ({pictures[k]})" for k in shown if 0 < pictures[k] < FEW]
    return (*found, f"classes in fewer than {FEW} pictures: {', '.join(rare)}") if rare else tuple(found)


def _notes(seen: Sequence[Seen], pixels: np.ndarray, classes: Classes) -> tuple[str, ...]:
    pictures, share = (pixels > 0).sum(axis=0), 100 * pixels.sum(axis=0) / max(1, pixels.sum())
    listed = ", ".join(f"{n} {pictures[k]} ({share[k]:.3g} %)" for k, n in enumerate(classes.names[:20]))
    found = [f"{len(seen)} masks of {len(classes.names)} classes, by pictures and share of all pixels: {listed}"]
    if how := differing(seen):
        found.append(f"the palettes of the masks differ: {how}. Classes are told apart by their colours")
    if not classes.values:
        objects = [sum(value != 0 for value in mask.values) for mask in seen]
        found.append(
            f"the masks hold numbers of objects: {sum(objects)} of them, {min(objects)} to {max(objects)} in a mask"
        )
    *others, last = classes.values or (0, 0)
    if last == VOID and len(others) > 1 and max(others) < VOID / 2:
        found.append(
            f"the value {VOID} is read as a class; where it says that nothing is known: --set task.ignore=[{VOID}]"
        )
    return tuple(found)
