"""Dynamic batching: inputs of requests that wait at the same time go through the model together.

One thread asks the model. While it works, inputs gather; it then takes as many as fit, so that a single request never
waits for others, and a busy service runs full batches.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from headstart.serving.limits import Busy

LARGEST = 64
"""Inputs that are run at once."""

Answer = Callable[[Sequence[Any]], list[dict[str, Any]]]


class Batcher:
    """Hands inputs to one thread, several at once."""

    def __init__(self, answer: Answer, waiting: int) -> None:
        """`answer` gives a document for each input; at most `waiting` inputs may wait."""
        self._answer, self._most = answer, waiting
        self._queue: deque[tuple[Sequence[Any], asyncio.Future[list[dict[str, Any]]]]] = deque()
        self._changed = threading.Condition()
        self._open = True
        self.batches = 0
        """Batches run so far."""
        self.inputs = 0
        """Inputs run so far."""
        self._thread = threading.Thread(target=self._work, name="predict", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Inputs that wait now."""
        return sum(len(inputs) for inputs, _ in list(self._queue))

    async def answers(self, inputs: Sequence[Any]) -> list[dict[str, Any]]:
        """The documents of some inputs. Raises Busy where too many wait, and whatever the model raises."""
        future: asyncio.Future[list[dict[str, Any]]] = asyncio.get_running_loop().create_future()
        with self._changed:
            if not self._open or self.waiting + len(inputs) > self._most:
                raise Busy("too many inputs wait: try again in a moment")
            self._queue.append((inputs, future))
            self._changed.notify()
        return await future

    def close(self) -> None:
        """Answer what waits and end the thread."""
        with self._changed:
            self._open = False
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or not self._open)
                if not self._queue:
                    return
                taken = [self._queue.popleft()]
                while self._queue and sum(len(i) for i, _ in taken) + len(self._queue[0][0]) <= LARGEST:
                    taken.append(self._queue.popleft())
            wanted = [(inputs, future) for inputs, future in taken if not future.cancelled()]
            try:
                documents = self._together(wanted)
            except Exception:  # one bad input must not fail the others
                documents = [self._alone(inputs) for inputs, _ in wanted]
            for (_, future), found in zip(wanted, documents):
                future.get_loop().call_soon_threadsafe(_settle, future, found)

    def _together(self, wanted: Sequence[tuple[Sequence[Any], Any]]) -> list[Any]:
        every = [one for inputs, _ in wanted for one in inputs]
        if not every:
            return [[] for _ in wanted]
        documents = iter(self._answer(every))
        self.batches, self.inputs = self.batches + 1, self.inputs + len(every)
        return [[next(documents) for _ in inputs] for inputs, _ in wanted]

    def _alone(self, inputs: Sequence[Any]) -> Any:
        try:
            return self._together([(inputs, None)])[0]
        except Exception as error:  # it is told to whoever asked
            return error


def _settle(future: asyncio.Future[Any], found: Any) -> None:
    if future.cancelled():
        return
    if isinstance(found, Exception):
        future.set_exception(found)
    else:
        future.set_result(found)
