"""Labelled boxes that look wrong by predictions of a head that has not learnt from them.

As in ObjectLab (Tkachenko et al. 2023) a label can be missing, misplaced or of the wrong class. Here a prediction
counts that is not right though 85 in 100 of those with its score are: it lies on nothing, beside a box of its class
that no other takes, or on one of another class.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.isotonic import IsotonicRegression

from headstart.contracts.task_capabilities import DoubtfulLabel
from headstart.numerics.boxes import overlaps
from headstart.tasks.detection.boxes import CLASS, CROWD, EDGES, LABEL, OWN, SCORE, Ragged
from headstart.tasks.detection.errors import BACKGROUND, CLASS_WRONG, PLACE, RIGHT, Told, told_apart

RIGHT_SHARE = 0.85
"""Of the predictions that are as sure as one that may contradict a label."""
FEWEST = 20
"""Right predictions below which nothing can be said."""

KINDS = {BACKGROUND: "missing box", PLACE: "misplaced box", CLASS_WRONG: "wrong class of a box"}


def doubtful_boxes(truths: Ragged, found: Ragged, classes: Sequence[str]) -> tuple[DoubtfulLabel, ...]:
    """Return the boxes that held-out predictions contradict, the surest first; arguments as for `matching.match`."""
    told = [told_apart(truth, some) for truth, some in zip(truths, found)]
    least = _least_score(told, found)
    doubtful = []
    for row, (truth, some, one) in enumerate(zip(truths, found, told)):
        for box, kind in zip(some, one.kinds):
            if box[SCORE] >= least and kind in KINDS:
                doubtful.append(_named(row, box, kind, truth[truth[:, CROWD] == 0], classes))
    return tuple(sorted(doubtful, key=lambda one: one.score))


def _least_score(told: Sequence[Told], found: Ragged) -> float:
    """The score from which on predictions are right with `RIGHT_SHARE`, by isotonic regression; infinite where few are
    right."""
    scores = np.concatenate([some[:, SCORE] for some in found])
    right = np.array([kind == RIGHT for one in told for kind in one.kinds], np.float64)
    if right.sum() < FEWEST:
        return np.inf
    likely = scores[IsotonicRegression().fit_transform(scores, right) >= RIGHT_SHARE]
    return float(likely.min(initial=np.inf))


def _named(row: int, box: np.ndarray, kind: str, boxes: np.ndarray, classes: Sequence[str]) -> DoubtfulLabel:
    likely, given = classes[int(box[LABEL])], ""
    if kind != BACKGROUND:
        nearest = overlaps(box[None, EDGES], boxes[:, OWN])[0]
        nearest = np.where((boxes[:, CLASS] == box[LABEL]) == (kind == PLACE), nearest, -1.0)
        given = classes[int(boxes[nearest.argmax(), CLASS])]
    edges = ", ".join(f"{edge} {value:.0f}" for edge, value in zip(("left", "top", "right", "bottom"), box[EDGES]))
    return DoubtfulLabel(row, KINDS[kind], 1 - float(box[SCORE]), given, likely, f"{edges}; score {box[SCORE]:.2f}")
