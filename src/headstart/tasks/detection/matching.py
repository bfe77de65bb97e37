"""Matching of predicted to true boxes as COCO has it (Lin et al. 2014), once for each picture, and what follows of it.

In each picture and class, from the likeliest prediction on, each takes the true box with the greatest IoU that is still
free and has at least the threshold. What takes a crowd, or a box of another size than is asked for, counts neither way,
and so does a prediction of another size that takes none.

Average precision is the mean of the precision at 101 recalls, each the greatest at this or a higher recall. Only true
positives raise the recall, so that it follows from the true positives in order and the false ones before each of them:
under weights of pictures, both are sums of products of these with the weights. A picture is matched once however
often it is weighed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from headstart.numerics.boxes import areas, overlaps
from headstart.tasks.detection.boxes import CLASS, CROWD, EDGES, LABEL, OWN, SCORE, Ragged

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""IoU from which on a prediction is right."""
RECALLS = np.linspace(0.0, 1.0, 101)
MOST = 100
"""Predictions of a class in a picture that count."""

SIZES = {"all": (0.0, 1e10), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
"""Name -> area in pixels of the picture, both ends included."""


@dataclass(frozen=True)
class Matches:
    """The predictions of one class with boxes of one size, the likeliest first, and how many boxes there are."""

    scores: np.ndarray
    """(predictions,)"""
    picture: np.ndarray
    """(predictions,) int64: the row of each one's picture."""
    right: np.ndarray
    """(thresholds, predictions) bool: it took a box."""
    wrong: np.ndarray
    """(thresholds, predictions) bool: it took none."""
    boxes: np.ndarray
    """(pictures,) float64: the true boxes in each."""

    def precision(self, threshold: int, weights: np.ndarray) -> np.ndarray:
        """Average precision (resamples,) at a threshold's number, under weights (resamples, pictures); NaN without any
        true box."""
        hits, before = self._steps(threshold)
        total = weights @ self.boxes
        if not len(hits):
            return np.where(total > 0, 0.0, np.nan)
        right = np.cumsum(weights[:, self.picture[hits]], axis=1)
        wrong = np.cumsum(weights @ before, axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            recall = right / total[:, None]
            precise = np.nan_to_num(right / (right + wrong + np.spacing(1)))
        envelope = np.maximum.accumulate(precise[:, ::-1], axis=1)[:, ::-1]
        return np.where(total > 0, _at_recalls(recall, envelope), np.nan)

    def _steps(self, threshold: int) -> tuple[np.ndarray, csr_array]:
        """The true positives' places (hits,), and (pictures, hits): the false ones since the last of them."""
        hits, misses = np.flatnonzero(self.right[threshold]), np.flatnonzero(self.wrong[threshold])
        step = np.searchsorted(hits, misses)
        misses, step = misses[step < len(hits)], step[step < len(hits)]
        shape = (len(self.boxes), len(hits))
        return hits, csr_array((np.ones(len(misses)), (self.picture[misses], step)), shape=shape)


def _at_recalls(recall: np.ndarray, envelope: np.ndarray) -> np.ndarray:
    """The mean over `RECALLS` of the envelope where the recall first reaches each; both are (resamples, hits)."""
    found = np.zeros(len(recall))
    for row, (reached, precise) in enumerate(zip(recall, envelope)):
        at = np.searchsorted(reached, RECALLS, side="left")
        found[row] = np.append(precise, 0.0)[at].mean()
    return found


def match(truths: Ragged, found: Ragged, label: int, area: tuple[float, float]) -> Matches:
    """Match the boxes of a class in every picture.

    Args:
        truths: true boxes of each picture (boxes, 10), found: predicted ones (boxes, 6); see `boxes.py`.
        label: the number of the class. area: least and greatest, in pixels.
    """
    matched = [_of_picture(true, some, label, area) for true, some in zip(truths, found)]
    rows = np.repeat(np.arange(len(matched)), [len(one[0]) for one in matched])
    scores = np.concatenate([one[0] for one in matched])
    order = np.argsort(-scores, kind="stable")
    right, wrong = (np.concatenate([one[k] for one in matched], axis=1)[:, order] for k in (1, 2))
    return Matches(scores[order], rows[order], right, wrong, np.array([one[3] for one in matched]))


def _of_picture(
    truth: np.ndarray, found: np.ndarray, label: int, area: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Scores (predictions,), which are right and which wrong (thresholds, predictions), and how many true boxes."""
    truth = truth[truth[:, CLASS] == label]
    found = found[found[:, LABEL] == label]
    found = found[np.argsort(-found[:, SCORE], kind="stable")][:MOST]
    crowd = truth[:, CROWD] == 1
    ignored = crowd | _outside(truth[:, OWN], area)
    order = np.argsort(ignored, kind="stable")
    truth, crowd, ignored = truth[order], crowd[order], ignored[order]
    taken = _taken(overlaps(found[:, EDGES], truth[:, OWN], crowd), crowd, ignored)
    lost = np.where(taken >= 0, np.append(ignored, False)[taken], _outside(found[:, EDGES], area))
    return found[:, SCORE], (taken >= 0) & ~lost, (taken < 0) & ~lost, float((~ignored).sum())


def _taken(overlap: np.ndarray, crowd: np.ndarray, ignored: np.ndarray) -> np.ndarray:
    """(thresholds, predictions) int64: the true box that each takes, -1 for none; those ignored stand last."""
    taken = np.full((len(THRESHOLDS), len(overlap)), -1, np.int64)
    close = np.flatnonzero((overlap >= THRESHOLDS[0]).any(axis=1)) if overlap.size else np.empty(0, np.int64)
    for number, threshold in enumerate(THRESHOLDS):
        free = np.ones(len(crowd), bool)
        for row in close:
            best = _best(overlap[row], min(threshold, 1 - 1e-10), free | crowd, ignored)
            if best >= 0:
                taken[number, row], free[best] = best, False
    return taken


def _best(overlap: np.ndarray, least: float, free: np.ndarray, ignored: np.ndarray) -> int:
    """The free box of greatest overlap, of equal ones the last; an ignored one only where no other will do."""
    for some in (~ignored, ignored):
        possible = np.where(free & some & (overlap >= least), overlap, -1.0)
        if len(possible) and possible.max() >= 0:
            return int(len(possible) - 1 - possible[::-1].argmax())
    return -1


def _outside(boxes: np.ndarray, area: tuple[float, float]) -> np.ndarray:
    return (areas(boxes) < area[0]) | (areas(boxes) > area[1])
