"""Feeding: inputs of like length together, prepared in threads ahead of what runs them.

Decoders and tokenizers release Python's lock, so that threads keep up. At most a few batches wait at any time, whatever
the size of the data.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import State
from headstart.contracts.examples import Examples, Raw
from headstart.engine.processor import cores
from headstart.kernel.errors import DataError

MOST_THREADS = 4
AHEAD = 2
"""Batches that wait beside those in the making."""

EXTREME = 8
"""A batch of long or short inputs has at least 1/8 and at most 8 times the usual number of them."""

READ_AT_ONCE = 4096


@dataclass(frozen=True)
class Fed:
    """A prepared batch."""

    rows: np.ndarray
    """(batch,) int64: the rows of `state`, in its order."""
    state: State | None
    """At boundary 0; None when no input of the batch could be read."""
    failures: Mapping[int, str] = field(default_factory=dict)
    """Row -> why its input could not be read."""
    seconds: float = 0.0
    """Spent in preparing."""


def feed(backbone: Backbone, examples: Examples, rows: np.ndarray, batch_size: int) -> Iterator[Fed]:
    """Prepare the given rows, longest inputs first, so that a batch too large for memory shows at once.

    Args:
        batch_size: how many inputs of median length make a batch; longer ones are fewer, shorter ones more.
    """
    batches = by_length(lengths_of(backbone, examples, rows), batch_size)
    return feed_batches(backbone, examples, (rows[batch] for batch in batches))


def feed_batches(backbone: Backbone, examples: Examples, batches: Iterable[np.ndarray]) -> Iterator[Fed]:
    """Prepare the rows of each batch; the batches themselves are asked for one by one, as far ahead as is prepared."""
    threads = min(MOST_THREADS, cores())
    pool = ThreadPoolExecutor(threads, thread_name_prefix="prepare")
    try:
        waiting: deque[Future[Fed]] = deque()
        for batch in batches:
            waiting.append(pool.submit(_prepare, backbone, examples, batch))
            if len(waiting) >= threads + AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def by_length(lengths: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Positions in batches of near-equal cost, longest first; equal lengths, (examples,), keep their order."""
    order = np.argsort(-lengths, kind="stable")
    positions = np.arange(len(order))
    return [order[batch] for batch in in_batches([positions], lengths[order], batch_size)]


def in_batches(blocks: Iterable[np.ndarray], lengths: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Full batches of near-equal cost out of blocks of positions, of which no more are asked for than are needed.

    Args:
        blocks: ascending positions in `lengths`; what is left of one goes together with the next.
        lengths: (examples,), falling; `batch_size` inputs of their median make a batch.
    """
    budget = batch_size * max(1.0, float(np.median(lengths))) if len(lengths) else 0.0
    left = np.empty(0, np.int64)
    for block in blocks:
        left = np.concatenate([left, block])
        while len(left) and len(left) > (size := _fitting(budget, lengths[left[0]], batch_size)):
            yield left[:size]
            left = left[size:]
    if len(left):
        yield left


def why_unreadable(backbone: Backbone, raw: Raw) -> str | None:
    """Why one input cannot be prepared; None when it can."""
    try:
        backbone.prepare([raw])
    except DataError as error:
        return str(error)
    return None


def lengths_of(backbone: Backbone, examples: Examples, rows: np.ndarray) -> np.ndarray:
    """How long each of the rows' inputs is, (rows,) int64."""
    starts = range(0, len(rows), READ_AT_ONCE)
    found = (backbone.length(raw) for start in starts for raw in examples.raws(rows[start : start + READ_AT_ONCE]))
    return np.fromiter(found, np.int64, len(rows))


def _fitting(budget: float, length: int, batch_size: int) -> int:
    return min(max(int(budget / max(1, length)), batch_size // EXTREME, 1), batch_size * EXTREME)


def _prepare(backbone: Backbone, examples: Examples, rows: np.ndarray) -> Fed:
    started = time.perf_counter()
    raws: Sequence[Raw] = examples.raws(rows)
    failures: dict[int, str] = {}
    try:
        state: State | None = backbone.prepare(raws)
    except DataError:
        reasons = [why_unreadable(backbone, raw) for raw in raws]
        failures = {int(row): reason for row, reason in zip(rows, reasons) if reason is not None}
        kept = [i for i, reason in enumerate(reasons) if reason is None]
        rows = rows[kept]
        state = backbone.prepare([raws[i] for i in kept]) if kept else None
    return Fed(rows, state, failures, time.perf_counter() - started)
