from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch

from headstart.contracts.carriers import State
from headstart.engine.frozen.batches_in_flight import BatchesInFlight
from headstart.engine.frozen.feeding import Fed
from headstart.kernel.errors import TrainingError


@dataclass
class Doubling:
    """Doubles what it gets."""

    at_once: int = 1
    most: int = 1000
    """Inputs that fit into memory."""
    sizes: list[int] = field(default_factory=list)

    def __call__(self, state: State) -> State:
        self.sizes.append(len(state.hidden))
        if len(state.hidden) > self.most:
            raise torch.OutOfMemoryError("out of memory")
        return State(state.hidden * 2)


@dataclass
class Overtaken(Doubling):
    """Batch 0 ends after batch 1, where they may run at once."""

    running: int = 0
    peak: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: threading.Event = field(default_factory=threading.Event)

    def __call__(self, state: State) -> State:
        with self.lock:
            self.running += 1
            self.peak = max(self.peak, self.running)
        number = int(state.hidden[0])
        if number == 0 and self.at_once > 1:
            assert self.ended.wait(60), "the next batch runs meanwhile"
        if number == 1:
            self.ended.set()
        with self.lock:
            self.running -= 1
        return super().__call__(state)


def batch(number: int, size: int = 1) -> Fed:
    return Fed(np.full(size, number), State(torch.full((size,), float(number))))


def failed(row: int) -> Fed:
    return Fed(np.empty(0, np.int64), None, {row: "is missing"})


@pytest.mark.parametrize("at_once", [1, 3])
def test_results_come_in_the_order_of_the_batches(at_once: int) -> None:
    execute = Overtaken(at_once)
    found = list(BatchesInFlight(lambda state: execute).run(batch(number) for number in range(10)))
    assert [float(ran.result.hidden[0]) for ran in found if ran.result is not None] == [2.0 * n for n in range(10)]
    assert [int(ran.fed.rows[0]) for ran in found] == list(range(10))
    assert execute.peak <= at_once
    if at_once > 1:
        assert execute.peak > 1
    assert all(ran.seconds > 0 for ran in found)


def test_a_batch_runs_in_as_many_pieces_as_run_at_once() -> None:
    execute = Doubling(3)
    fed = Fed(np.arange(8), State(torch.arange(8.0)))
    (ran,) = BatchesInFlight(lambda state: execute).run([fed])
    assert sorted(execute.sizes) == [2, 3, 3]
    assert ran.fed is fed and ran.result is not None and ran.result.hidden.tolist() == [2.0 * n for n in range(8)]


@pytest.mark.parametrize("at_once", [1, 3])
def test_batches_of_nothing_but_failures_go_through(at_once: int) -> None:
    started: list[State] = []

    def start(state: State) -> Doubling:
        started.append(state)
        return Doubling(at_once)

    pipeline = BatchesInFlight(start)
    assert [ran.result for ran in pipeline.run([failed(0)])] == [None]
    assert not started, "there is nothing to start it with"
    found = list(pipeline.run([failed(1), batch(5), failed(2), batch(6)]))
    assert [ran.result is None for ran in found] == [True, False, True, False]
    assert [sorted(ran.fed.failures) for ran in found] == [[1], [], [2], []]
    list(pipeline.run([batch(7)]))
    assert len(started) == 1, "what was started serves every run"


@pytest.mark.parametrize("at_once", [1, 3])
def test_a_batch_too_large_for_memory_is_halved(at_once: int) -> None:
    execute = Doubling(at_once, most=3)
    (ran,) = BatchesInFlight(lambda state: execute).run([batch(1, size=10)])
    assert ran.result is not None and ran.result.hidden.tolist() == [2.0] * 10
    assert max(size for size in execute.sizes if size <= 3) >= 2


@pytest.mark.parametrize("at_once", [1, 3])
def test_one_input_too_large_for_memory_is_an_error(at_once: int) -> None:
    with pytest.raises((TrainingError, torch.OutOfMemoryError)):
        list(BatchesInFlight(lambda state: Doubling(at_once, most=0)).run([batch(1)]))


@pytest.mark.parametrize("at_once", [1, 3])
def test_an_error_while_running_reaches_the_caller(at_once: int) -> None:
    class Broken(Doubling):
        def __call__(self, state: State) -> State:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(BatchesInFlight(lambda state: Broken(at_once)).run(batch(number) for number in range(5)))


def test_an_error_while_starting_or_feeding_reaches_the_caller() -> None:
    def broken() -> Iterator[Fed]:
        yield batch(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(BatchesInFlight(lambda state: Doubling(3)).run(broken()))

    def start(state: State) -> Any:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(BatchesInFlight(start).run([batch(1)]))


def test_batches_are_asked_for_no_further_ahead_than_they_run() -> None:
    asked: list[int] = []

    def batches() -> Iterator[Fed]:
        for number in range(50):
            asked.append(number)
            yield batch(number + 10)

    results = BatchesInFlight(lambda state: Doubling(3)).run(batches())
    next(results)
    assert len(asked) <= 4
    results.close()
    wait_for(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("run")])


def wait_for(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.01)
