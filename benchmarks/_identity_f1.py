"""IDF1 (Ristani et al. 2016), longhand: the F1 of boxes under the best one-to-one assignment of tracks to objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from headstart.numerics.tracking import NO_TRACK, Tracker

Tracks = Mapping[int, Mapping[int, tuple[float, ...]]]
"""Frame -> number of the object or track -> left, top, right, bottom."""


def iou(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    inner = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return inner / (sum(areas) - inner)


def identity_f1(truth: Tracks, found: Tracks, least: float = 0.5) -> float:
    """2 IDTP / (true boxes + boxes found): IDTP counts those that overlap with a box of the assigned track."""
    together: Counter[tuple[int, int]] = Counter()
    for frame, objects in truth.items():
        for number, box in objects.items():
            for track, other in found.get(frame, {}).items():
                together[number, track] += iou(box, other) >= least
    numbers = sorted({number for objects in truth.values() for number in objects})
    tracks = sorted({track for objects in found.values() for track in objects})
    counts = np.array([[together[number, track] for track in tracks] for number in numbers])
    rows, columns = linear_sum_assignment(counts, maximize=True)
    boxes = sum(map(len, truth.values())) + sum(map(len, found.values()))
    return 2 * float(counts[rows, columns].sum()) / boxes


def car_identity_f1(labelled: dict[str, Any], seed: int, jitter: float = 0.05) -> float:
    """IDF1 on the labelled frames of tracks over all frames, whose boxes lie on lines between the labelled ones.

    They are jittered by a share of their sides, and a tenth has a low score.
    """
    rng = np.random.default_rng(seed)
    truth = {int(at): {int(car): tuple(box) for car, box in cars.items()} for at, cars in labelled["frames"].items()}
    times = {car: [at for at in truth if car in truth[at]] for car in {car for cars in truth.values() for car in cars}}
    tracker, found = Tracker(rate=labelled["rate"]), dict[int, dict[int, tuple[float, ...]]]()
    for at in range(min(truth), max(truth) + 1):
        seen = [car for car, known in sorted(times.items()) if known[0] <= at <= known[-1]]
        lines = [[np.interp(at, times[car], [truth[t][car][k] for t in times[car]]) for k in range(4)] for car in seen]
        boxes = np.array(lines).reshape(-1, 4)
        sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
        boxes, scores = (
            boxes + rng.normal(0, jitter, boxes.shape) * sides,
            rng.choice([0.9, 0.3], len(seen), p=[0.9, 0.1]),
        )
        tracks = tracker.update(at / labelled["rate"], boxes, [0] * len(seen), scores)
        if at in truth:
            found[at] = {int(track): tuple(box) for track, box in zip(tracks, boxes.tolist()) if track != NO_TRACK}
    return identity_f1(truth, found)
