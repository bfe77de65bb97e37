"""Batches made in a thread of their own, a few ahead of whoever takes them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

PREFETCHED = 4
"""Results that wait to be taken."""


class Prefetcher(Iterator[T], Generic[T]):
    """The results of some makers, in order; an error of one reaches whoever takes its result and ends the rest.

    The thread begins at once, before the first result is asked for, and ends when this is no longer held.
    """

    def __init__(self, makers: Sequence[Callable[[], T]]) -> None:
        """Begin."""
        self._left = len(makers)
        self._results: queue.Queue[T | BaseException] = queue.Queue(PREFETCHED)
        self._stop = threading.Event()
        threading.Thread(target=_work, args=(makers, self._results, self._stop), daemon=True).start()

    def __next__(self) -> T:
        """The next result, waited for."""
        if not self._left:
            raise StopIteration
        result = self._results.get()
        self._left -= 1
        if isinstance(result, BaseException):
            self._left = 0
            raise result
        return result

    def __del__(self) -> None:
        """End the thread."""
        self._stop.set()


def _work(makers: Sequence[Callable[[], T]], results: queue.Queue[T | BaseException], stop: threading.Event) -> None:
    for make in makers:
        try:
            result: T | BaseException = make()
        except Exception as error:
            result = error
        while not stop.is_set():
            try:
                results.put(result, timeout=0.1)
                break
            except queue.Full:
                continue
        if stop.is_set() or isinstance(result, BaseException):
            return
