"""Running what is fed, as many batches at once as keep the device busy, in the order in which they come."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from headstart.contracts.carriers import State
from headstart.contracts.runner import Execute
from headstart.engine.device import run_halving
from headstart.engine.frozen.feeding import Fed


@dataclass(frozen=True)
class Ran:
    """A batch that has gone through."""

    fed: Fed
    result: State | None
    """None when no input of the batch could be read."""
    seconds: float
    """Its share of the device's time."""


class BatchesInFlight:
    """Runs batches with what `start` makes of the first of them."""

    def __init__(self, start: Callable[[State], Execute]) -> None:
        """Nothing is started before there is a batch."""
        self._start = start
        self._execute: Execute | None = None

    @property
    def at_once(self) -> int:
        """Return how many batches run at once; 1 before anything has started."""
        return 1 if self._execute is None else self._execute.at_once

    def run(self, batches: Iterable[Fed]) -> Generator[Ran, None, None]:
        """Each batch with its result."""
        with ExitStack() as stack:
            pool: ThreadPoolExecutor | None = None
            waiting: deque[Future[Ran]] = deque()
            for fed in batches:
                execute = self._started(fed)
                if execute is None or execute.at_once == 1:
                    yield _ran(execute, fed)
                    continue
                if pool is None:
                    pool = stack.enter_context(ThreadPoolExecutor(execute.at_once, thread_name_prefix="run"))
                waiting.append(pool.submit(_ran, execute, fed))
                if len(waiting) > execute.at_once:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _started(self, fed: Fed) -> Execute | None:
        if self._execute is None and fed.state is not None:
            self._execute = self._start(fed.state)
        return self._execute


def _ran(execute: Execute | None, fed: Fed) -> Ran:
    started = time.perf_counter()
    if execute is None or fed.state is None:
        return Ran(fed, None, 0.0)
    result = run_halving(execute, fed.state)
    return Ran(fed, result, (time.perf_counter() - started) / execute.at_once)
