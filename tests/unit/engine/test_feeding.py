from __future__ import annotations

import threading

import numpy as np
import pytest
from tiny_backbones import TinyTable, TinyTexts, table_examples, text_examples

from headstart.contracts.carriers import State
from headstart.engine.feeding import AHEAD, MOST_THREADS, by_length, feed


def test_every_position_is_in_one_batch_and_like_lengths_are_together() -> None:
    lengths = np.random.default_rng(0).integers(1, 500, 1000)
    batches = by_length(lengths, 16)
    assert sorted(np.concatenate(batches).tolist()) == list(range(1000))
    waste = sum(int((lengths[batch].max() - lengths[batch]).sum()) for batch in batches)
    assert waste < 0.1 * lengths.sum()
    assert lengths[batches[0]].max() == lengths.max()


def test_long_inputs_make_small_batches() -> None:
    lengths = np.array([10] * 100 + [80] * 10 + [100_000] * 5)
    sizes = {int(lengths[batch[0]]): len(batch) for batch in by_length(lengths, 32)}
    assert (sizes[100_000], sizes[80]) == (4, 4)


def test_equal_lengths_keep_their_order() -> None:
    assert [batch.tolist() for batch in by_length(np.ones(5, int), 2)] == [[0, 1], [2, 3], [4]]
    assert by_length(np.empty(0, int), 4) == []


def test_rows_and_states_belong_together() -> None:
    values = np.arange(40.0).reshape(10, 4)
    rows = np.array([7, 2, 9])
    fed = list(feed(TinyTable("t"), table_examples(values), rows, 2))
    assert np.concatenate([batch.rows for batch in fed]).tolist() == [7, 2, 9]
    for batch in fed:
        assert batch.state is not None
        assert batch.state.hidden.tolist() == values[batch.rows].tolist()


def test_an_unreadable_input_leaves_its_batch_whole() -> None:
    values = np.arange(40.0).reshape(10, 4)
    values[3, 1] = np.nan
    (fed,) = feed(TinyTable("t"), table_examples(values), np.arange(10), 10)
    assert fed.failures == {3: "holds NaN"}
    assert fed.rows.tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 9]


def test_only_a_few_batches_wait() -> None:
    started = threading.Semaphore(0)

    class Watched(TinyTable):
        def prepare(self, raws: object) -> State:
            started.release()
            return super().prepare(raws)  # type: ignore[arg-type]

    batches = feed(Watched("t"), table_examples(np.zeros((100, 4))), np.arange(100), 1)
    next(batches)
    count = 0
    while started.acquire(timeout=0.2):
        count += 1
    assert count <= MOST_THREADS + AHEAD
    batches.close()  # type: ignore[attr-defined]


def test_a_defect_in_preparing_reaches_the_caller() -> None:
    class Broken(TinyTexts):
        def one(self, raw: object) -> None:  # type: ignore[override]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(feed(Broken("t"), text_examples(["a", "b"]), np.arange(2), 1))
