"""Sharing: how processes that miss the same inputs of a space compute each of them once.

Each goes through its inputs in the same order and claims the next that nobody else claims, a block at a time. At its
end it waits for what others still work on, and takes over what they leave: those that died, hang, or could not read it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import numpy as np

from headstart.engine.store.claims import Claims
from headstart.engine.store.space import Space
from headstart.kernel.progress import Reporter

PATIENCE_SECONDS = 60.0
"""A process that lives but does not get on for so long loses its claims. The work is then done twice, never wrongly."""

LOOK_SECONDS = 0.2
"""Between two looks at what others have done."""

MOST_BATCHES = 8
"""Claimed at once, a few seconds' work; less towards the end, so that all come to theirs together."""

SHARE_OF_REST = 1 / 8


class SharedWork:
    """This process's part of the work on a space. A context: at its end what is computed is written and shared."""

    def __init__(
        self, space: Space, keys: Sequence[str], batch_size: int, elsewhere: Callable[[int], None], reporter: Reporter
    ) -> None:
        """Take part.

        Args:
            space: where results are looked for; whoever computes adds them.
            keys: of the distinct inputs that were missing at first, in the order in which they are to be computed.
            elsewhere: is told how many inputs others have computed, each counted once.
            reporter: is told once when there is nothing left but to wait for others.
        """
        self._space, self._keys, self._batch_size = space, keys, batch_size
        self._elsewhere, self._reporter = elsewhere, reporter
        self._claims = Claims(space.folder, PATIENCE_SECONDS)
        self._finished: list[str] = []
        self._told = False

    def __enter__(self) -> SharedWork:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._space.flush()
        finally:
            self._claims.close()

    def sweeps(self) -> Iterator[Iterator[np.ndarray]]:
        """Yield the work of this process: blocks of positions in `keys`, ascending, claimed when they are asked for.

        All blocks of a sweep are to be computed before the next sweep is asked for, which may take a wait for others.
        """
        left = np.arange(len(self._keys))
        while len(left):
            passed = [left[:0]]
            blocks = self._blocks(left, passed)
            first = next(blocks, None)
            if first is not None:
                yield chain([first], blocks)
                self._space.flush()
            self._finished.clear()
            self._claims.release()
            left = self._missing(np.concatenate(passed))
            if first is None and len(left):
                self._wait(len(left))

    def done(self, keys: Sequence[str]) -> None:
        """These were computed and appended to the space, or cannot be computed."""
        self._finished.extend(keys)
        if self._space.waiting:
            self._claims.beat()
        else:
            self._claims.release(self._finished)
            self._finished.clear()

    def _blocks(self, left: np.ndarray, passed: list[np.ndarray]) -> Iterator[np.ndarray]:
        """The positions in `left` that can be claimed, a block at a time; `passed` gets those that cannot."""
        start = 0
        while start < len(left):
            rest = left[start:]
            most = min(MOST_BATCHES * self._batch_size, max(self._batch_size, int(len(rest) * SHARE_OF_REST)))
            taken = np.array(self._claims.take((self._keys[position] for position in rest), most), bool)
            start += len(taken)
            passed.append(rest[: len(taken)][~taken])
            mine = rest[: len(taken)][taken]
            if self._claims.shared:  # another process may have computed them and released its claim since
                mine = self._missing(mine)
            if len(mine):
                yield mine

    def _missing(self, positions: np.ndarray) -> np.ndarray:
        """Those that are not stored yet."""
        if not len(positions):
            return positions
        found = self._space.lookup([self._keys[position] for position in positions]).found
        if found.any():
            self._elsewhere(int(found.sum()))
        return positions[~found]

    def _wait(self, left: int) -> None:
        if not self._told:
            self._told = True
            self._reporter.say(f"Waiting for another process, which is computing the last {left:,}.")
        time.sleep(LOOK_SECONDS)
