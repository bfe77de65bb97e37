"""Tracks of objects by their boxes in one frame after the other: ByteTrack (Zhang et al. 2022).

A Kalman filter of constant velocity predicts every track's box; boxes of high score are matched to all tracks by IoU,
and those of low score to the tracks in sight that found none, so that an object half hidden keeps its track. State
(cx, cy, w, h) and its velocities; standard deviations a 20th of width and height for the place, a 160th for the
velocity, as DeepSORT has them (Wojke et al. 2017). Each matching has the greatest sum of IoU.

Unlike the paper: the state has the width in place of its ratio to the height, which changes fast where an object enters
the picture (as in BoT-SORT, Aharon et al. 2022); only boxes of one class are matched; IoU is not multiplied by scores;
and time is that of the frames, so that a variable rate or dropped frames move a track as far as it went.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from headstart.numerics.boxes import overlaps

PLACE, VELOCITY = 1 / 20, 1 / 160
"""Standard deviations in widths and heights, the latter for each frame."""

NO_TRACK = -1
"""Number of a box that belongs to no track, or to one that is not yet sure."""


class Limits(NamedTuple):
    """The settings of a tracker."""

    high: float = 0.6
    """Score from which a box is matched first, and may begin a track."""
    overlap: float = 0.2
    """IoU with a track's predicted box from which a box may be its; in (0, 1)."""
    low_overlap: float = 0.5
    """The same for boxes of low score."""
    lost: float = 1.0
    """Seconds that a track may be out of sight."""
    sure_after: int = 2
    """Frames in a row with a box from which on a track counts; of those that begin in the first frame the first."""


@dataclass
class _Track:
    mean: np.ndarray
    """(8,)"""
    covariance: np.ndarray
    """(8, 8)"""
    label: int
    seen_at: float
    """Seconds."""
    hits: int = 1
    number: int = NO_TRACK
    in_sight: bool = True


class Tracker:
    """Tracks in one video; frames come in order."""

    def __init__(self, rate: float, limits: Limits | None = None) -> None:
        """`rate` is the usual number of frames in a second: velocities are measured by it."""
        self.limits, self.rate = limits or Limits(), rate
        self._tracks: list[_Track] = []
        self._time: float | None = None
        self._next = 1

    def update(self, seconds: float, boxes: np.ndarray, labels: Sequence[int], scores: np.ndarray) -> np.ndarray:
        """Return the track (boxes,) of each box of the next frame, from 1 on, or -1 for none.

        Args:
            seconds: of the frame, later than the last.
            boxes: (boxes, 4) left, top, right and bottom. labels: the class of each. scores: (boxes,) in [0, 1].
        """
        first = self._time is None
        steps = 0.0 if self._time is None else (seconds - self._time) * self.rate
        self._time = seconds
        for track in self._tracks:
            track.mean, track.covariance = predicted(track.mean, track.covariance, steps)
        found, kinds = np.full(len(boxes), NO_TRACK), np.asarray(labels, int)
        high = np.flatnonzero(scores >= self.limits.high)
        low = np.flatnonzero(scores < self.limits.high)
        sure = [track for track in self._tracks if track.number != NO_TRACK]
        taken = self._match(sure, high, boxes, kinds, self.limits.overlap)
        in_sight = [track for at, track in enumerate(sure) if at not in taken and track.in_sight]
        taken_low = self._match(in_sight, low, boxes, kinds, self.limits.low_overlap)
        pairs = [(sure[at], box) for at, box in taken.items()] + [(in_sight[at], box) for at, box in taken_low.items()]
        rest = np.array([box for box in high if box not in set(taken.values())], int)
        unsure = [track for track in self._tracks if track.number == NO_TRACK]
        taken_unsure = self._match(unsure, rest, boxes, kinds, self.limits.overlap)
        pairs += [(unsure[at], box) for at, box in taken_unsure.items()]
        kept = []
        for track, box in pairs:
            self._seen(track, boxes[box], seconds)
            found[box] = track.number
            kept.append(id(track))
        new = [self._begun(boxes[box], kinds[box], seconds) for box in rest if box not in set(taken_unsure.values())]
        if first or self.limits.sure_after < 2:
            for track, box in zip(new, rest):
                found[box] = track.number = self._number()
        self._tracks = [track for track in self._tracks if id(track) in kept or self._waits(track, seconds)] + new
        return found

    def _match(
        self, tracks: Sequence[_Track], among: np.ndarray, boxes: np.ndarray, kinds: np.ndarray, least: float
    ) -> dict[int, int]:
        """Track -> box."""
        if not tracks or not len(among):
            return {}
        found = overlaps(np.stack([edges_of(track.mean) for track in tracks]), boxes[among])
        found = np.where(np.array([track.label for track in tracks])[:, None] == kinds[among], found, 0.0)
        rows, columns = linear_sum_assignment(np.where(found >= least, found, 0.0), maximize=True)
        return {int(row): int(among[column]) for row, column in zip(rows, columns) if found[row, column] >= least}

    def _begun(self, box: np.ndarray, label: int, seconds: float) -> _Track:
        measured = measured_of(box)
        sides = np.tile(measured[2:], 2)
        deviations = np.concatenate([2 * PLACE * sides, 10 * VELOCITY * sides])
        return _Track(np.concatenate([measured, np.zeros(4)]), np.diag(deviations**2), label, seconds)

    def _seen(self, track: _Track, box: np.ndarray, seconds: float) -> None:
        track.mean, track.covariance = corrected(track.mean, track.covariance, measured_of(box))
        track.hits, track.seen_at, track.in_sight = track.hits + 1, seconds, True
        if track.number == NO_TRACK and track.hits >= self.limits.sure_after:
            track.number = self._number()

    def _waits(self, track: _Track, seconds: float) -> bool:
        """Return whether a track without a box is kept, out of sight; one that was never sure is not."""
        track.in_sight = False
        return track.number != NO_TRACK and seconds - track.seen_at <= self.limits.lost

    def _number(self) -> int:
        self._next += 1
        return self._next - 1


def predicted(mean: np.ndarray, covariance: np.ndarray, steps: float) -> tuple[np.ndarray, np.ndarray]:
    """The state (8,) and its covariance (8, 8) so many frames later."""
    motion = np.eye(8) + steps * np.eye(8, k=4)
    sides = np.tile(mean[2:4], 2)
    deviations = np.concatenate([PLACE * sides, VELOCITY * sides])
    return motion @ mean, motion @ covariance @ motion.T + np.diag(deviations**2) * steps


def corrected(mean: np.ndarray, covariance: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The state (8,) and its covariance (8, 8) after a box (4,) was seen."""
    noise = np.diag((PLACE * np.tile(mean[2:4], 2)) ** 2)
    gain = np.linalg.solve(covariance[:4, :4] + noise, covariance[:4]).T
    return mean + gain @ (seen - mean[:4]), covariance - gain @ covariance[:4]


def measured_of(box: np.ndarray) -> np.ndarray:
    """Centre, width and height (4,) of a box of edges (4,)."""
    return np.concatenate([(box[:2] + box[2:]) / 2, box[2:] - box[:2]])


def edges_of(state: np.ndarray) -> np.ndarray:
    """Edges (4,) of a state (8,)."""
    return np.concatenate([state[:2] - state[2:4] / 2, state[:2] + state[2:4] / 2])
