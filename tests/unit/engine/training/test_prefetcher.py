"""Batches ahead of their consumer: in order, errors passed on, begun at once, and no thread left behind."""

from __future__ import annotations

import threading
import time

import pytest

from headstart.engine.training.prefetcher import Prefetcher


def test_ahead_keeps_the_order_and_passes_errors_on() -> None:
    assert list(Prefetcher([lambda k=k: k for k in range(20)])) == list(range(20))

    def broken() -> int:
        raise ValueError("no such file")

    with pytest.raises(ValueError, match="no such file"):
        list(Prefetcher([lambda: 1, broken, lambda: 2]))


def test_ahead_stops_working_when_its_consumer_stops() -> None:
    made: list[int] = []

    def make(k: int) -> int:
        made.append(k)
        return k

    made_ahead = Prefetcher([lambda k=k: make(k) for k in range(1000)])
    next(made_ahead)
    del made_ahead
    time.sleep(0.3)
    assert len(made) < 20


def test_the_first_is_in_the_making_before_it_is_asked_for() -> None:
    begun = threading.Event()
    coming = Prefetcher([begun.set])
    assert begun.wait(60)
    assert list(coming) == [None]


def test_after_an_error_there_is_nothing_more() -> None:
    def broken() -> int:
        raise ValueError("no such file")

    coming = Prefetcher([broken, lambda: 2])
    with pytest.raises(ValueError, match="no such file"):
        next(coming)
    assert list(coming) == []
