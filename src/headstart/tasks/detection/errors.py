"""Kinds of errors of predicted boxes, told apart as TIDE does (Bolya et al. 2020), at an IoU of .5.

A prediction that is not right has the kind of the true box that it overlaps most:

- class: an IoU of .5 or more with a box of another class.
- place: .1 to .5 with a box of its own class.
- double: .5 or more with a box of its own class that a likelier prediction has taken.
- both: .1 to .5 with a box of another class.
- background: less than .1 with any.

A true box that no prediction takes is missed; those that a prediction of the kind class or place lies on are counted
apart. Unlike in the paper there is no score of what each error costs: the counts at the score from which boxes are
shown add up to all predictions and all boxes. Crowds, and what lies in them, are left out.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from headstart.numerics.boxes import overlaps
from headstart.tasks.detection.boxes import CLASS, CROWD, EDGES, LABEL, OWN, SCORE

RIGHT, CLASS_WRONG, PLACE, BOTH, DOUBLE, BACKGROUND = "right", "class", "place", "both", "double", "background"
KINDS = (CLASS_WRONG, PLACE, BOTH, DOUBLE, BACKGROUND)

CLOSE, NEAR = 0.5, 0.1
"""IoU from which on a prediction is right, and from which on it belongs to a box."""


class Told(NamedTuple):
    """The predictions and the true boxes of a picture."""

    kinds: tuple[str, ...]
    """Of each prediction: right, one of `KINDS`, or '' where it lies in a crowd."""
    found: np.ndarray
    """(boxes,) bool: whether a prediction takes each true box that is no crowd."""
    nearly: np.ndarray
    """(boxes,) bool: whether one of the kind class or place lies on each that is not found."""


def told_apart(truth: np.ndarray, found: np.ndarray) -> Told:
    """The kind of each prediction of a picture (predictions, 6), the likeliest first; `truth` is (boxes, 10)."""
    crowd = truth[:, CROWD] == 1
    boxes, crowds = truth[~crowd], truth[crowd]
    overlap = overlaps(found[:, EDGES], boxes[:, OWN])
    within = overlaps(found[:, EDGES], crowds[:, OWN], np.ones(len(crowds), bool))
    within = np.where(found[:, LABEL, None] == crowds[None, :, CLASS], within, 0.0).max(axis=1, initial=0.0)
    same = found[:, LABEL, None] == boxes[None, :, CLASS]
    taken, nearly = np.zeros(len(boxes), bool), np.zeros(len(boxes), bool)
    kinds = []
    for row in np.argsort(-found[:, SCORE], kind="stable"):
        own = np.where(same[row] & ~taken, overlap[row], 0.0)
        if own.max(initial=0.0) >= CLOSE:
            taken[own.argmax()] = True
            kinds.append((row, RIGHT))
            continue
        kind, box = ("", -1) if within[row] >= CLOSE else _kind(overlap[row], same[row])
        if kind in (CLASS_WRONG, PLACE):
            nearly[box] = True
        kinds.append((row, kind))
    return Told(tuple(kind for _, kind in sorted(kinds)), taken, nearly & ~taken)


def _kind(overlap: np.ndarray, same: np.ndarray) -> tuple[str, int]:
    """The kind of a prediction that takes no box, and the box that it belongs to."""
    own, other = np.where(same, overlap, 0.0), np.where(same, 0.0, overlap)
    if own.max(initial=0.0) >= CLOSE:
        return DOUBLE, int(own.argmax())
    if other.max(initial=0.0) >= CLOSE:
        return CLASS_WRONG, int(other.argmax())
    if own.max(initial=0.0) >= NEAR:
        return PLACE, int(own.argmax())
    if other.max(initial=0.0) >= NEAR:
        return BOTH, int(other.argmax())
    return BACKGROUND, -1


def tally(told: list[Told]) -> Counter[str]:
    """The number of predictions of each kind, and of true boxes: 'found', 'nearly' and 'missed'."""
    counts = Counter(kind for one in told for kind in one.kinds if kind)
    for one in told:
        counts["found"] += int(one.found.sum())
        counts["nearly"] += int(one.nearly.sum())
        counts["missed"] += int((~one.found & ~one.nearly).sum())
    return counts
