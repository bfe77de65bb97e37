"""Clips longer than a backbone reads, in windows that overlap.

Where characters have times, each window has its own half of what two of them share. What a decoder writes is joined
where the end of one text and the beginning of the next say the same words: at the run of them that has the most words,
each counting twice, less those between it and the edges. These are left out, as words are cut there.
"""

from __future__ import annotations

import re
from itertools import product

import numpy as np
import pyarrow as pa

from headstart.contracts.backbone import Backbone, HasFrames
from headstart.contracts.examples import Examples
from headstart.contracts.modality import raws_of
from headstart.contracts.prediction import Prediction
from headstart.contracts.windows import Windows
from headstart.tasks.transcription.alphabet import normalised
from headstart.tasks.transcription.metrics import TEXT

SHARED = 1 / 6
"""Of a window, which the next one repeats."""
MOST = 40
"""Words, or characters of a language without spaces, of both edges among which a run is looked for."""
PHRASES = "phrases"
"""The column of predictions (clips,) of (phrases, 3): where each begins in the text, and its start and end."""
_WORD = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]|[^\s\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]+")
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


def joined_texts(prediction: Prediction, windows: Windows) -> Prediction:
    """Texts of windows as those of clips; phrases keep their times, from the beginning of the clip on."""
    parts, columns, clips = windows.examples.column(_PART), prediction.columns, np.unique(windows.owner)
    texts, phrases = np.empty(len(clips), object), np.empty(len(clips), object)
    unfinished = np.zeros(len(clips), bool)
    for place, clip in enumerate(clips):
        text, known = "", np.zeros((0, 3))
        for piece in np.flatnonzero(windows.owner == clip):
            unfinished[place] |= columns["unfinished"][piece]
            own = columns[TEXT][piece]
            left, right = seam(text, own)
            begun = text[:left] + (" " if text and own and left == len(text) else "")
            if PHRASES in columns:
                new = columns[PHRASES][piece] + [0.0, parts[piece][0], parts[piece][0]]
                lasting = np.append(new[1:, 0], len(own)) > right
                new[:, 0] = len(begun) + np.maximum(new[:, 0] - right, 0)
                known = np.concatenate([known[known[:, 0] < left], new[lasting]])
            text = begun + own[right:]
        texts[place], phrases[place] = text, known
    found = {TEXT: texts, "unfinished": unfinished}
    return Prediction({**found, PHRASES: phrases} if PHRASES in columns else found)


def seam(one: str, other: str) -> tuple[int, int]:
    """Return how many characters of a text are kept, and from which on those of the text that goes on where it ends."""
    before, after = [*_WORD.finditer(one)][-MOST:], [*_WORD.finditer(other)][:MOST]
    said, again = ([normalised(word[0]) or word[0] for word in words] for words in (before, after))
    best, worth = None, -1
    for a, b in product(range(len(said)), range(len(again))):
        size = next((k for k in range(min(a, b) + 1) if said[a - k] != again[b - k]), min(a, b) + 1)
        lost = (len(said) - 1 - a) + (b + 1 - size)
        if size and 2 * size - lost > worth:
            best, worth = (before[a].start(), after[b].start()), 2 * size - lost
    return best or (len(one), 0)
