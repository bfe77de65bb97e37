"""Windows are merged as soon as all of an example's are decoded, and few of them are held until then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.prediction import Prediction
from headstart.contracts.windows import Windows
from headstart.engine.frozen import merging
from headstart.engine.frozen.merging import Decoded, joined, merged

BATCH = 6


class Sums:
    """Merges numbers by adding them, and knows how many pieces were decoded and not merged yet."""

    def __init__(self) -> None:
        self.held = self.most = 0

    def merged(self, prediction: Prediction, windows: Windows) -> Prediction:
        self.held -= len(prediction)
        owners, numbers = np.unique(windows.owner, return_inverse=True)
        return Prediction({"sum": np.bincount(numbers, prediction.columns["value"], len(owners))})


def pieces_of(owner: np.ndarray) -> Windows:
    table = pa.table({"text": [f"piece {k}" for k in range(len(owner))]})
    schema = Schema(modality="text", inputs=("text",), origin="text")
    return Windows(Examples(table, schema), owner, np.zeros((len(owner), 2), np.int64))


def decoded(order: np.ndarray, unreadable: set[int], task: Sums) -> Iterator[Decoded]:
    """Piece k has the value 2 ** (k % 20)."""
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        kept = np.array([row for row in rows if row not in unreadable], np.int64)
        task.held += len(kept)
        task.most = max(task.most, task.held)
        prediction = Prediction({"value": 2.0 ** (kept % 20)}) if len(kept) else None
        yield Decoded(kept, prediction, {int(row): "is torn" for row in rows if row in unreadable})


@pytest.mark.parametrize("shuffled", [False, True])
def test_examples_are_the_sums_of_their_pieces_and_one_with_a_torn_piece_has_failed(
    shuffled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "HELD", 10)
    owner = np.repeat(np.arange(60), np.arange(60) % 5 + 1)
    order = np.random.default_rng(0).permutation(len(owner)) if shuffled else np.arange(len(owner))
    torn = {0, 7, 8, 100}
    task: Any = Sums()
    found = joined(merged(decoded(order, torn, task), pieces_of(owner), task))
    failed = {int(owner[piece]) for piece in torn}
    assert dict(found.failures) == dict.fromkeys(failed, "is torn")
    assert found.rows.tolist() == [row for row in range(60) if row not in failed]
    assert found.prediction is not None
    values = 2.0 ** (np.arange(len(owner)) % 20)
    assert found.prediction.columns["sum"].tolist() == [values[owner == row].sum() for row in found.rows]


def test_few_pieces_are_held_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "HELD", 12)
    task: Any = Sums()
    owner = np.repeat(np.arange(400), 5)
    found = joined(merged(decoded(np.arange(2000), set(), task), pieces_of(owner), task))
    assert len(found.rows) == 400 and task.held == 0
    assert task.most <= 12 + BATCH + 2 * 5


def test_where_nothing_can_be_read_there_is_no_prediction() -> None:
    task: Any = Sums()
    found = joined(merged(decoded(np.arange(4), {0, 1, 2, 3}, task), pieces_of(np.array([0, 0, 1, 1])), task))
    assert (found.prediction, found.rows.tolist(), found.failures) == (None, [], {0: "is torn", 1: "is torn"})
