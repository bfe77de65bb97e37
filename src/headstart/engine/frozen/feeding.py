"""Feeding: inputs of like length together, prepared ahead of what runs them.

Decoders and tokenizers release Python's lock, so that threads keep up with two cores. Many pictures are read by worker
processes: these scale with the cores, and a decoder that crashes does not end the pass. At most a few batches wait at
any time, whatever the size of the data.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch

from headstart.contracts.backbone import Backbone, Reader
from headstart.contracts.carriers import State
from headstart.contracts.examples import Examples, Raw
from headstart.contracts.modality import raws_of
from headstart.engine.frozen.reading import Inputs, read_inputs
from headstart.engine.frozen.reading_workers import POSSIBLE, ReadingWorkers
from headstart.kernel.errors import DataError, HeadstartError
from headstart.kernel.processor import cores
from headstart.kernel.progress import Reporter

MOST_THREADS = 4
AHEAD = 2
"""Batches that wait beside those in the making."""

EXTREME = 8
"""A batch of long or short inputs has at least 1/8 and at most 8 times the usual number of them."""

READ_AT_ONCE = 4096

PROCESSES_FROM = 5000
"""Pictures from which worker processes pay for the two seconds that they take to start."""


Changes = Callable[[np.ndarray], Mapping[int, str]]
"""Rows -> those whose inputs are no longer what they were, and what became of them."""


Finish = Callable[[State, np.ndarray], State]
"""(state, rows) -> what goes on in its place."""


Read = Callable[[Sequence[Raw]], Inputs]
"""May be called from several threads."""


@dataclass(frozen=True)
class Fed:
    """A prepared batch."""

    rows: np.ndarray
    """(batch,) int64: the rows of `state`, in its order."""
    state: State | None
    """Inputs as the backbone's reader gives them, else at boundary 0, finished; None when none could be read."""
    failures: Mapping[int, str] = field(default_factory=dict)
    """Row -> why its input could not be read."""
    seconds: float = 0.0
    """Its share of the time of the threads that prepare."""


def feed(backbone: Backbone, examples: Examples, rows: np.ndarray, batch_size: int) -> Generator[Fed, None, None]:
    """Prepare the given rows, longest inputs first, so that a batch too large for memory shows at once.

    Args:
        batch_size: how many inputs of median length make a batch; longer ones are fewer, shorter ones more.
    """
    batches = by_length(lengths_of(backbone, examples, rows), batch_size)
    fed = (rows[batch] for batch in batches)
    return feed_batches(backbone, examples, fed, batch_size=batch_size, total=len(rows))


def feed_batches(
    backbone: Backbone,
    examples: Examples,
    batches: Iterable[np.ndarray],
    *,
    batch_size: int,
    total: int,
    changes: Changes = lambda rows: {},  # noqa: ARG005
    finish: Finish = lambda state, rows: state,  # noqa: ARG005
    reporter: Reporter | None = None,
) -> Generator[Fed, None, None]:
    """Prepare the rows of each batch; the batches themselves are asked for one by one, as far ahead as is prepared.

    Args:
        batch_size: how many inputs a batch usually has.
        total: how many there are in all; many pictures are read by worker processes.
        changes: is asked after a batch was read; what it names has failed.
        finish: is done to every batch at last, by the threads that prepare.
        reporter: is told when there can be no worker processes.
    """
    threads = min(MOST_THREADS, cores())
    reader = backbone.reader()
    with ExitStack() as stack:
        read = partial(_together, backbone)
        if reader is not None:
            read = partial(_one_by_one, stack.enter_context(reading(reader, batch_size, total, reporter)))
            threads = cores() if many(total) else threads
        pool = ThreadPoolExecutor(threads, thread_name_prefix="prepare")
        stack.callback(pool.shutdown, cancel_futures=True)
        waiting: deque[Future[Fed]] = deque()
        for batch in batches:
            waiting.append(pool.submit(_prepared, partial(_prepare, read, examples, batch, changes), finish))
            if len(waiting) >= threads + AHEAD:
                yield _shared(waiting.popleft().result(), threads)
        while waiting:
            yield _shared(waiting.popleft().result(), threads)


@contextmanager
def reading(reader: Reader, at_once: int, total: int, reporter: Reporter | None = None) -> Iterator[Read]:
    """Return the reader of inputs, up to `at_once` in a call: worker processes where `total` is large, else here."""
    if not many(total):
        yield partial(read_inputs, reader)
        return
    with ReadingWorkers(reader, cores(), at_once, reporter) as workers:

        def read(raws: Sequence[Raw]) -> Inputs:
            try:
                return workers.read(raws)
            except HeadstartError:  # no worker can be started here, which was said, or the pass ends just now
                return read_inputs(reader, raws)

        yield read


def many(total: int) -> bool:
    """Return whether so many inputs are read by worker processes, one for each core."""
    return POSSIBLE and total >= PROCESSES_FROM


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
    """Return the length of each of the rows' inputs, (rows,) int64."""
    starts = range(0, len(rows), READ_AT_ONCE)
    found = (backbone.length(raw) for start in starts for raw in raws_of(examples, rows[start : start + READ_AT_ONCE]))
    return np.fromiter(found, np.int64, len(rows))


def _fitting(budget: float, length: int, batch_size: int) -> int:
    return min(max(int(budget / max(1, length)), batch_size // EXTREME, 1), batch_size * EXTREME)


def _shared(fed: Fed, threads: int) -> Fed:
    return replace(fed, seconds=fed.seconds / threads)


def _prepared(prepare: Callable[[], Fed], finish: Finish) -> Fed:
    fed, started = prepare(), time.perf_counter()
    if fed.state is None:
        return fed
    state = finish(fed.state, fed.rows)
    return replace(fed, state=state, seconds=fed.seconds + time.perf_counter() - started)


def _prepare(
    read: Callable[[Sequence[Raw]], tuple[State | None, Mapping[int, str]]],
    examples: Examples,
    rows: np.ndarray,
    changes: Changes,
) -> Fed:
    started = time.perf_counter()
    state, failed = read(raws_of(examples, rows))
    changed = changes(rows)
    if changed:  # the others are read again without them
        rest = rows[~np.isin(rows, list(changed))]
        others = _prepare(read, examples, rest, changes) if len(rest) else Fed(rest, None)
        return Fed(others.rows, others.state, {**others.failures, **changed}, time.perf_counter() - started)
    failures = {int(rows[position]): reason for position, reason in failed.items()}
    kept = [position for position in range(len(rows)) if position not in failed]
    return Fed(rows[kept], state, failures, time.perf_counter() - started)


def _together(backbone: Backbone, raws: Sequence[Raw]) -> tuple[State | None, Mapping[int, str]]:
    """The inputs prepared by the backbone, and what is wrong with the others, by their position."""
    try:
        return backbone.prepare(raws), {}
    except DataError:
        reasons = {position: why_unreadable(backbone, raw) for position, raw in enumerate(raws)}
    failed = {position: reason for position, reason in reasons.items() if reason is not None}
    readable = [raw for position, raw in enumerate(raws) if position not in failed]
    return (backbone.prepare(readable) if readable else None), failed


def _one_by_one(read: Read, raws: Sequence[Raw]) -> tuple[State | None, Mapping[int, str]]:
    """The inputs as they are read, and what is wrong with the others, by their position."""
    inputs = read(raws)
    return (State(torch.from_numpy(inputs.arrays)) if len(inputs.arrays) else None), inputs.failures
