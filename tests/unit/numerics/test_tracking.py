"""Tracks of a few boxes: low scores, classes, time out of sight, frames that are missing."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.numerics.tracking import NO_TRACK, Limits, Tracker

BOX = np.array([[10.0, 10, 50, 50]])


def follow(scores: list[float | None], *, step: float = 0.0, times: list[float] | None = None) -> list[int]:
    """The track of one box that moves to the right by `step` in a frame; None is a frame without it."""
    tracker, found = Tracker(rate=10.0), []
    for at, score in enumerate(scores):
        seconds = at / 10 if times is None else times[at]
        boxes = BOX + np.array([1.0, 0, 1, 0]) * 10 * step * seconds
        boxes, given = (boxes, [score]) if score is not None else (np.zeros((0, 4)), [])
        found += tracker.update(seconds, boxes, [0] * len(boxes), np.array(given, float)).tolist() or [0]
    return found


def test_a_low_score_goes_on_with_a_track_and_begins_none() -> None:
    assert follow([0.9, 0.9, 0.2, 0.2, 0.9]) == [1] * 5
    assert follow([0.2, 0.2, 0.9, 0.9]) == [NO_TRACK, NO_TRACK, NO_TRACK, 1]


def test_a_track_out_of_sight_waits_a_second_and_follows_its_velocity() -> None:
    gone: list[float | None] = [None] * 5
    assert follow([*[0.9] * 6, *gone, 0.9], step=10)[-1] == 1
    assert follow([*[0.9] * 6, *gone, *gone, *gone, 0.9, 0.9], step=10)[-2:] == [NO_TRACK, 2]


def test_a_low_score_brings_back_no_track_that_is_out_of_sight() -> None:
    assert follow([0.9, 0.9, None, 0.2, 0.9]) == [1, 1, 0, NO_TRACK, 1]


def test_time_is_that_of_the_frames() -> None:
    """By frame numbers the box would jump past where it is looked for."""
    times = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 1.2, 1.3]
    assert follow([0.9] * 10, step=12, times=times) == [1] * 10


@pytest.mark.parametrize(("labels", "tracks"), [([0, 0], 1), ([0, 1], 2)])
def test_boxes_of_another_class_are_another_object(labels: list[int], tracks: int) -> None:
    tracker = Tracker(rate=10.0, limits=Limits(sure_after=1))
    found = [tracker.update(at / 10, BOX, [label], np.array([0.9]))[0] for at, label in enumerate(labels)]
    assert len({*found}) == tracks


def test_a_frame_without_boxes_is_none_of_the_trackers_business() -> None:
    tracker = Tracker(rate=10.0)
    assert len(tracker.update(0.0, np.zeros((0, 4)), [], np.zeros(0))) == 0
