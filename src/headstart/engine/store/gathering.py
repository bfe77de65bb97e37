"""Gathering a field of many entries out of the shards in which they lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from headstart.engine.store.columns import Column, Part, Ragged, as_slice, require_kind, scattered
from headstart.engine.store.key_index import Located
from headstart.engine.store.shard import Shard
from headstart.kernel.processor import cores

MANY = 4096
"""Entries from which copying them takes longer than starting threads for it."""

Piece = tuple[int, np.ndarray, np.ndarray]
"""Number of a shard, places in the result, rows in the shard."""


def gathered(shard: Callable[[int], Shard], located: Located, name: str) -> Column:
    """The field `name` of located entries, in their order, in memory of its own; many are copied on every core.

    Args:
        shard: opens the shard of a number; called from several threads.

    Raises:
        StoreError: a shard is gone, or the entries differ in type or shape.
    """
    windows, size = list(located.by_shard()), len(located.position)
    if len(windows) == 1 or size < MANY:
        return scattered(_parts(shard, windows, name), size)
    head = shard(windows[0][0]).take(name, windows[0][2][:1])
    if isinstance(head, Ragged):
        return scattered(_parts(shard, windows, name), size)
    out = np.empty((size, *head.shape[1:]), head.dtype)

    def copy(piece: Piece) -> None:
        for places, column in _parts(shard, [piece], name):
            require_kind(column, head)
            out[as_slice(places)] = column

    with ThreadPoolExecutor(cores(), thread_name_prefix="gather") as pool:
        list(pool.map(copy, windows))
    return out


def _parts(shard: Callable[[int], Shard], windows: Sequence[Piece], name: str) -> Iterator[Part]:
    for number, places, rows in windows:
        opened = shard(number)
        yield places, opened.take(name, rows)
        opened.release()
