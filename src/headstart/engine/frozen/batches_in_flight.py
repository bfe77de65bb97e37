"""Running what is fed, in the order in which it comes, each batch in as many pieces as keep the device busy.

Pieces of one batch, rather than several batches, take no more memory than a batch and are all done at the same time.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from headstart.contracts.carriers import State
from headstart.contracts.runner import Execute
from headstart.engine.device import run_halving
from headstart.engine.frozen.feeding import Fed
from headstart.engine.pieces import in_pieces, joined


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
        """Return how many pieces run at once; 1 before anything has started."""
        return 1 if self._execute is None else self._execute.at_once

    def run(self, batches: Iterable[Fed]) -> Generator[Ran, None, None]:
        """Each batch with its result."""
        with ExitStack() as stack:
            pool: ThreadPoolExecutor | None = None
            waiting: deque[tuple[Fed, list[Future[_Timed]]]] = deque()
            for fed in batches:
                pieces = self._pieces(fed)
                if self.at_once == 1:
                    yield _ran(fed, [piece() for piece in pieces], 1)
                    continue
                pool = pool or stack.enter_context(ThreadPoolExecutor(self.at_once, thread_name_prefix="run"))
                waiting.append((fed, [pool.submit(piece) for piece in pieces]))
                if len(waiting) > self.at_once:  # batches of a single input have one piece each
                    first, running = waiting.popleft()
                    yield _ran(first, [piece.result() for piece in running], self.at_once)
            for last, running in waiting:
                yield _ran(last, [piece.result() for piece in running], self.at_once)

    def _pieces(self, fed: Fed) -> list[Callable[[], _Timed]]:
        """The runs of a batch; none where nothing of it could be read."""
        if fed.state is None:
            return []
        if self._execute is None:
            self._execute = self._start(fed.state)
        return [partial(_timed, self._execute, piece) for piece in in_pieces(fed.state, self.at_once)]


_Timed = tuple[State, float]
"""A result, and the seconds that it took."""


def _timed(execute: Execute, state: State) -> _Timed:
    began = time.perf_counter()
    return run_halving(execute, state), time.perf_counter() - began


def _ran(fed: Fed, results: Sequence[_Timed], at_once: int) -> Ran:
    """A batch with the results of its pieces."""
    result = joined([state for state, _ in results]) if results else None
    return Ran(fed, result, sum(seconds for _, seconds in results) / at_once)
