"""Transcripts, and frames in which their characters can be seen."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import torch

from headstart.contracts.carriers import LENGTH_MASK, State
from headstart.contracts.examples import Examples, Schema
from headstart.contracts.features import Features

LETTERS = " abc"


def spoken_letters(n: int) -> Examples:
    """`n` clips in which 1 to 3 words of a, b and c are said; nobody reads their files."""
    draws = np.random.default_rng(0)

    def word() -> str:
        return "".join(draws.choice([*"abc"], draws.integers(1, 4)))

    words = [[word() for _ in range(draws.integers(1, 4))] for _ in range(n)]
    table = pa.table({"path": [f"{row}.wav" for row in range(n)], "transcript": [" ".join(some) for some in words]})
    schema = Schema(modality="audio", inputs=("path",), targets={"transcript": "transcript"}, origin="path")
    return Examples(table, schema)


def frame_state(examples: Examples, width: int) -> State:
    """Three frames for each character, the first of which shows it, and two of nothing at the end."""
    rows = []
    for text in examples.target("transcript"):
        found = np.random.default_rng(len(text)).normal(0, 0.3, (3 * len(text) + 2, width)).astype(np.float32)
        for place, letter in enumerate(text):
            found[3 * place, 1 + LETTERS.index(letter)] += 3
        rows.append(torch.from_numpy(found))
    masks = [torch.ones(len(row), dtype=torch.int64) for row in rows]
    pad = torch.nn.utils.rnn.pad_sequence
    return State(pad(rows, batch_first=True), {LENGTH_MASK: pad(masks, batch_first=True)})


def frame_features(state: State) -> Features:
    """What a backbone would make of `frame_state`."""
    return Features(state.hidden.mean(dim=1), state.hidden, state.context[LENGTH_MASK])
