"""Long texts in windows that overlap: every word belongs to the one window where it has the most context.

A window holds other windows' words too, as context, but only its own are tagged and trained on. So nothing is counted
twice, and the tags of a text are those of its windows one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa

from headstart.contracts.backbone import Backbone
from headstart.contracts.examples import Examples, Schema
from headstart.contracts.modality import raws_of
from headstart.contracts.prediction import Prediction
from headstart.contracts.windows import Windows
from headstart.media.words import Place
from headstart.tasks.tagging.words import as_ragged, word_places

_START, _WORDS, _ORIGIN = "__start__", "__words__", "__origin__"


def cut_texts(examples: Examples, backbone: Backbone) -> Windows | None:
    """The windows of each text; None where the backbone reads all texts whole."""
    texts = [str(raw) for raw in raws_of(examples)]
    windows = [backbone.windows(text) for text in texts]
    if not any(windows):
        return None
    rows: list[tuple[int, Place, int, int]] = []
    places = word_places(examples)
    for row, (text, found) in enumerate(zip(texts, windows)):
        ranges = found or ((0, len(text)),)
        best = _most_context(places[row], ranges)
        bounds = np.searchsorted(best, np.arange(len(ranges) + 1))
        rows += [(row, span, int(bounds[k]), int(bounds[k + 1])) for k, span in enumerate(ranges)]
    origins = examples.origins()
    table = pa.table(
        {
            "text": pa.array([texts[row][start:stop] for row, (start, stop), _, _ in rows], pa.string()),
            _WORDS: [_shifted(places[row][first:last], start) for row, (start, _), first, last in rows],
            _START: [start for _, (start, _), _, _ in rows],
            _ORIGIN: [origins[row] for row, *_ in rows],
        }
    )
    schema = Schema(modality="text", inputs=("text",), words=_WORDS, origin=_ORIGIN)
    items = np.array([(first, last) for *_, first, last in rows], np.int64)
    return Windows(Examples(table, schema), np.array([row for row, *_ in rows], np.int64), items)


def joined_texts(prediction: Prediction, windows: Windows) -> Prediction:
    """Decoded windows as decoded texts, their words' places in the whole text."""
    starts = np.array(windows.examples.column(_START), np.int64)
    bounds = np.flatnonzero(np.diff(windows.owner, prepend=-1))
    moved = [words + start for words, start in zip(prediction.columns["words"], starts)]
    columns = {**prediction.columns, "words": as_ragged(moved)}
    return Prediction({name: as_ragged(_concatenated(column, bounds)) for name, column in columns.items()})


def _concatenated(column: np.ndarray, bounds: np.ndarray) -> list[np.ndarray]:
    return [np.concatenate([*part]) for part in np.split(column, bounds[1:])]


def _most_context(words: Sequence[Place], windows: Sequence[Place]) -> np.ndarray:
    """(words,) the window whose nearer end is farthest from each word; the ends of the text are not ends.

    Beginnings and ends of windows rise. So a word has more context in the next window where that begins farther before
    the word than this one ends behind it: where the word's middle lies behind that of what both share. A word longer
    than what they share is in a window that holds its beginning.
    """
    middles, places = [stop + start for (_, stop), (start, _) in pairwise(windows)], np.array(words, np.int64)
    begun = np.searchsorted([start for start, _ in windows[1:]], places.reshape(-1, 2)[:, 0], side="right")
    return np.minimum(np.searchsorted(middles, places.reshape(-1, 2).sum(axis=1)), begun)


def _shifted(words: Sequence[Place], start: int) -> list[dict[str, int]]:
    return [{"start": first - start, "end": stop - start} for first, stop in words]
