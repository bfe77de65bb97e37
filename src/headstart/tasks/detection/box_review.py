"""Review of labelled boxes before training: how many there are, how large, and what a fit would refuse."""

from __future__ import annotations

from collections import Counter

from headstart.contracts.examples import Examples
from headstart.contracts.review import Review
from headstart.kernel.errors import DataError
from headstart.tasks.detection.boxes import class_names, counted, encoded, frames_of, labelled_boxes
from headstart.tasks.detection.view import chosen_side, chosen_strides, size_notes

FEW = 10
"""Pictures with a class below which it can hardly be split and judged."""


def review_boxes(examples: Examples) -> Review:
    """Faults, warnings and notes, and the number and size of the boxes."""
    try:
        labels = labelled_boxes(examples)
        classes = class_names(labels)
    except DataError as error:
        return Review(faults=(str(error),))
    counts, pictures = counted(labels), Counter(name for boxes in labels for name in {box["label"] for box in boxes})
    rare = [f"'{name}' ({pictures[name]})" for name in classes if pictures[name] < FEW]
    empty = sum(not boxes for boxes in labels)
    listed = ", ".join(f"{name} {counts[name]} in {pictures[name]}" for name in classes[:20])
    side = chosen_side(examples)
    numbers = {name: k for k, name in enumerate(classes)}
    framed = [encoded(boxes, frame, numbers) for boxes, frame in zip(labels, frames_of(examples, side))]
    notes = [f"{counts.total()} boxes of {len(classes)} classes in {len(labels)} pictures: {listed}"]
    if empty:
        notes.append(f"{empty} pictures show no object")
    return Review(
        warnings=(f"classes in fewer than {FEW} pictures: {', '.join(rare)}",) if rare else (),
        notes=(*notes, *size_notes(framed, side, chosen_strides(framed))),
        spreads={"boxes": [float(len(boxes)) for boxes in labels]},
        unit="in a picture",
    )
