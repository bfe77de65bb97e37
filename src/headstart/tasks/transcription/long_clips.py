"""Clips longer than a backbone reads, in windows that overlap: of what two windows share each has its own half."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from headstart.contracts.backbone import Backbone, HasFrames
from headstart.contracts.examples import Examples
from headstart.contracts.modality import raws_of
from headstart.contracts.prediction import Prediction
from headstart.contracts.windows import Windows
from headstart.tasks.transcription.metrics import TEXT

SHARED = 1 / 6
"""Of a window, which the next one repeats."""
_PART, _OWN = "__excerpt__", "__own__"


def cut_clips(examples: Examples, backbone: Backbone) -> Windows | None:
    """The windows of each clip; None where the backbone reads all clips whole."""
    if not isinstance(backbone, HasFrames) or examples.schema.box is not None:
        return None
    longest = backbone.longest
    rows: list[tuple[int, float, float]] = []
    for row, raw in enumerate(raws_of(examples)):
        seconds, step = backbone.seconds(raw), longest * (1 - SHARED)
        count = max(1, int(np.ceil((seconds - longest) / step)) + 1)
        rows += [(row, k * step, min(longest, max(seconds - k * step, 0.0))) for k in range(count)]
    if len(rows) == len(examples):
        return None
    owner = np.array([row for row, *_ in rows], np.int64)
    halves = longest * SHARED / 2
    first, last = np.diff(owner, prepend=-1) != 0, np.diff(owner, append=-1) != 0
    own = [
        [0.0 if begins else halves, np.inf if ends else longest - halves]
        for begins, ends in zip(first.tolist(), last.tolist())
    ]
    kinds = pa.list_(pa.float64())
    table = examples.table.take(pa.array(owner))
    table = table.append_column(_PART, pa.array([[start, length] for _, start, length in rows], kinds))
    table = table.append_column(_OWN, pa.array(own, kinds))
    schema = examples.schema.model_copy(update={"box": _PART})
    return Windows(Examples(table, schema), owner, np.zeros((len(rows), 2), np.int64))


def joined_clips(prediction: Prediction, windows: Windows) -> Prediction:
    """Transcripts of windows as those of clips: of each window what begins in its own part."""
    parts, owns = windows.examples.column(_PART), windows.examples.column(_OWN)
    columns = prediction.columns
    clips = np.unique(windows.owner)
    texts, starts = np.empty(len(clips), object), np.empty(len(clips), object)
    score, seconds = np.zeros(len(clips)), np.zeros(len(clips))
    for place, clip in enumerate(clips):
        pieces = np.flatnonzero(windows.owner == clip)
        kept = [(columns["starts"][p] >= owns[p][0]) & (columns["starts"][p] < owns[p][1]) for p in pieces]
        letters = (np.array(list(columns[TEXT][p]), dtype=object)[own] for p, own in zip(pieces, kept))
        texts[place] = "".join("".join(some) for some in letters)
        starts[place] = np.concatenate([columns["starts"][p][own] + parts[p][0] for p, own in zip(pieces, kept)])
        score[place] = np.average(columns["score"][pieces], weights=columns["seconds"][pieces])
        seconds[place] = parts[pieces[-1]][0] + columns["seconds"][pieces[-1]]
    return Prediction({TEXT: texts, "starts": starts, "score": score, "seconds": seconds})
