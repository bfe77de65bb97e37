"""Tracks against an independent ByteTrack, a longhand filter, and cars that were labelled by hand."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks._identity_f1 import car_identity_f1, identity_f1, iou
from headstart.numerics.boxes import overlaps
from headstart.numerics.tracking import NO_TRACK, Tracker, corrected, edges_of, measured_of, predicted
from reference_scenes import scene

HERE = Path(__file__).parent
RECORDED: dict[str, list[list[int]]] = json.loads((HERE / "bytetrack_recorded.json").read_text())
"""Tracks by ByteTrackTracker of trackers 2.6.1, with scores from 0.6 on as high ones and a least IoU of 0.2."""
CARS: dict[str, Any] = json.loads((HERE / "car_tracks.json").read_text())


@pytest.mark.parametrize("seed", sorted(RECORDED))
def test_tracks_agree_with_those_of_another_bytetrack(seed: str) -> None:
    tracker, both = Tracker(rate=30.0), Counter[tuple[int, int]]()
    boxes_seen = 0
    for frame, ((boxes, scores), theirs) in enumerate(zip(scene(int(seed)), RECORDED[seed])):
        mine = tracker.update(frame / 30, boxes, [0] * len(boxes), scores)
        boxes_seen += len(boxes)
        both.update((a, b) for a, b in zip(mine.tolist(), theirs) if NO_TRACK not in (a, b))
    best = Counter({a: max(n for (one, _), n in both.items() if one == a) for a, _ in both})
    assert best.total() >= 0.995 * both.total() and both.total() >= 0.9 * boxes_seen
    assert len(best) == len({b for _, b in both}) == 5


def test_the_filter_is_that_of_kalman_by_inverse_covariances() -> None:
    """The information form: inverse covariances add up, and means are weighted by them."""
    rng = np.random.default_rng(0)
    mean = np.array([50.0, 60, 40, 80, 1, -2, 0.01, 0.5])
    root = rng.normal(size=(8, 8))
    covariance = root @ root.T + np.eye(8)
    seen = np.array([52.0, 57, 42, 83])
    noise = np.diag(np.array([40 / 20, 80 / 20, 40 / 20, 80 / 20]) ** 2)
    look = np.eye(4, 8)
    information = np.linalg.inv(covariance) + look.T @ np.linalg.inv(noise) @ look
    expected = np.linalg.inv(information) @ (np.linalg.inv(covariance) @ mean + look.T @ np.linalg.inv(noise) @ seen)
    after, spread = corrected(mean, covariance, seen)
    np.testing.assert_allclose(after, expected, rtol=1e-6)
    np.testing.assert_allclose(spread, np.linalg.inv(information), rtol=1e-6, atol=1e-9)
    later, wider = predicted(mean, covariance, 2.0)
    np.testing.assert_allclose(later[:4], mean[:4] + 2 * mean[4:])
    added = np.array([2, 4, 2, 4, 0.25, 0.5, 0.25, 0.5]) ** 2
    np.testing.assert_allclose(wider[4:, 4:], covariance[4:, 4:] + 2 * np.diag(added[4:]))
    np.testing.assert_allclose(wider[:4, 4:], covariance[:4, 4:] + 2 * covariance[4:, 4:])


def test_overlaps_and_states_are_those_of_boxes() -> None:
    boxes = np.array([[0.0, 0, 10, 20], [5, 5, 15, 25], [40, 40, 50, 45]])
    longhand = [[iou(tuple(one), tuple(other)) for other in boxes.tolist()] for one in boxes.tolist()]
    np.testing.assert_allclose(overlaps(boxes, boxes), longhand)
    for box in boxes:
        np.testing.assert_allclose(edges_of(np.concatenate([measured_of(box), np.zeros(4)])), box)


@pytest.mark.parametrize("seed", range(5))
def test_cars_keep_their_tracks(seed: int) -> None:
    """Boxes on lines between 21 frames that were labelled by hand, jittered by 5 % of their sides."""
    assert car_identity_f1(CARS, seed) >= 0.8


def test_identity_f1_by_hand_and_by_motmetrics() -> None:
    box, other = (0.0, 0.0, 10.0, 10.0), (50.0, 50.0, 60.0, 60.0)
    truth = {frame: {1: box, 2: other} for frame in range(4)}
    found = {0: {7: box, 8: other}, 1: {7: box, 8: other}, 2: {8: box, 7: other}, 3: {7: box}}
    assert identity_f1(truth, found) == pytest.approx(2 * 5 / (8 + 7))
    motmetrics = pytest.importorskip("motmetrics")
    counted = motmetrics.MOTAccumulator(auto_id=True)
    for frame, objects in truth.items():
        tracks = found[frame]
        distances = [
            [1 - iou(one, two) if iou(one, two) >= 0.5 else np.nan for two in tracks.values()]
            for one in objects.values()
        ]
        counted.update(list(objects), list(tracks), distances)
    theirs = motmetrics.metrics.create().compute(counted, metrics=["idf1"])["idf1"].iloc[0]
    assert identity_f1(truth, found) == pytest.approx(float(theirs))
