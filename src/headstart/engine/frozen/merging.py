"""Decoded pieces become predictions for their examples as soon as all of an example's are there.

What is decoded of a piece, such as the probabilities of a tile's pixels, can be a thousand times as large as what it
comes to. So few pieces are held at a time, however many the data are cut into.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from headstart.contracts.prediction import Prediction
from headstart.contracts.task_capabilities import Windowed
from headstart.contracts.windows import Windows

HELD = 256
"""Windows of complete examples at which these are merged; beside them wait those of examples that are not complete."""


@dataclass(frozen=True)
class Decoded:
    """Examples or windows that were decoded, or could not be read; their predictions are not finished yet."""

    rows: np.ndarray
    """(readable,) int64: what could be read, in any order."""
    prediction: Prediction | None = None
    """One entry per element of `rows`; None without any."""
    failures: Mapping[int, str] = field(default_factory=dict)
    """Row -> why its input could not be read."""


def merged(found: Iterable[Decoded], windows: Windows, task: Windowed) -> Iterator[Decoded]:
    """The examples that the pieces were cut from; one with a piece that cannot be read has failed."""
    sizes = np.bincount(windows.owner)
    awaited, complete = sizes.copy(), 0
    held: list[Decoded] = []
    for part in found:
        held.append(part)
        owners = windows.owner[[*part.rows, *part.failures]]
        np.subtract.at(awaited, owners, 1)
        here = np.unique(owners)
        complete += int(sizes[here[awaited[here] == 0]].sum())
        if complete >= HELD:
            everything, done = joined(held), awaited[windows.owner] == 0
            yield _merged(_of(everything, done), windows, task)
            held, complete = [_of(everything, ~done)], 0
    yield _merged(joined(held), windows, task)


def joined(parts: Iterable[Decoded]) -> Decoded:
    """All of them together, by ascending rows."""
    every = [*parts]
    rows = np.concatenate([np.empty(0, np.int64), *(part.rows for part in every)])
    predictions = [part.prediction for part in every if part.prediction is not None]
    prediction = Prediction.join(predictions).take(np.argsort(rows)) if predictions else None
    failures = {row: reason for part in every for row, reason in part.failures.items()}
    return Decoded(np.sort(rows), prediction, failures)


def _of(found: Decoded, chosen: np.ndarray) -> Decoded:
    """Return what became of the chosen pieces; `chosen` is (pieces,) bool."""
    kept = np.flatnonzero(chosen[found.rows])
    prediction = found.prediction.take(kept) if found.prediction is not None and len(kept) else None
    return Decoded(found.rows[kept], prediction, {row: why for row, why in found.failures.items() if chosen[row]})


def _merged(found: Decoded, windows: Windows, task: Windowed) -> Decoded:
    failures = {int(windows.owner[piece]): reason for piece, reason in found.failures.items()}
    kept = np.flatnonzero(~np.isin(windows.owner[found.rows], list(failures)))
    if found.prediction is None or not len(kept):
        return Decoded(np.empty(0, np.int64), None, failures)
    read = windows.take(found.rows[kept])
    return Decoded(np.unique(read.owner), task.merged(found.prediction.take(kept), read), failures)
