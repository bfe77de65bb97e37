from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from headstart.contracts.backbone import Reader
from headstart.contracts.carriers import State
from headstart.engine.frozen import feeding
from headstart.engine.frozen.feeding import AHEAD, MOST_THREADS, Fed, by_length, feed, feed_batches
from tiny_backbones import TinyTable, TinyTexts, table_examples, text_examples
from worker_readers import Letters, Unreachable


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


class Lettered(TinyTable):
    """Reads texts one by one, so that worker processes may do it."""

    modality = "text"

    def __init__(self, reader: Reader) -> None:
        super().__init__("t")
        self.letters = reader

    def reader(self) -> Reader:
        return self.letters


def letters_of(fed: list[Fed]) -> list[str]:
    """What was read, in the order of the rows."""
    whole = {
        int(row): bytes(value.tolist()).decode().strip()
        for batch in fed
        if batch.state is not None
        for row, value in zip(batch.rows, batch.state.hidden)
    }
    return [whole[row] for row in sorted(whole)]


@pytest.mark.parametrize("trouble", [pytest.param("unreachable", marks=pytest.mark.slow), "no python", "no processes"])
def test_where_workers_cannot_be_started_threads_read(
    trouble: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(feeding, "PROCESSES_FROM", 0)
    monkeypatch.setattr(feeding, "cores", lambda: 1)
    reader: Reader = Unreachable(os.getpid()) if trouble == "unreachable" else Letters(os.getpid())
    if trouble == "no python":
        monkeypatch.setattr(sys, "executable", str(tmp_path / "no python"))
    if trouble == "no processes":
        monkeypatch.setattr(feeding, "POSSIBLE", False)
    texts = [f"{number:03d}" for number in range(20)] + ["bad"]
    fed = list(feed(Lettered(reader), text_examples(texts), np.arange(21), 4))
    assert letters_of(fed) == texts[:-1]
    assert {row: reason for batch in fed for row, reason in batch.failures.items()} == {20: "is bad: bad"}


def test_few_inputs_are_read_without_processes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def none(*_: object) -> None:
        raise AssertionError("no process should be started")

    monkeypatch.setattr(feeding, "ReadingWorkers", none)
    texts = ["one", "two"]
    assert letters_of(list(feed(Lettered(Letters()), text_examples(texts), np.arange(2), 4))) == texts


@pytest.mark.parametrize("one_by_one", [True, False])
def test_inputs_that_have_changed_fail_and_the_others_of_their_batch_do_not(one_by_one: bool) -> None:
    asked: list[list[int]] = []

    def changes(rows: np.ndarray) -> dict[int, str]:
        asked.append(rows.tolist())
        return {row: "has changed" for row in (2, 5, 6, 7, 8) if row in rows}

    texts = [f"{number:03d}" for number in range(9)]
    texts[4] = "" if not one_by_one else "bad"
    backbone = Lettered(Letters()) if one_by_one else TinyTexts("t")
    batches = [np.arange(3), np.arange(3, 6), np.arange(6, 9)]
    fed = list(feed_batches(backbone, text_examples(texts), batches, batch_size=3, total=9, changes=changes))
    assert [batch.rows.tolist() for batch in fed] == [[0, 1], [3], []]
    assert [sorted(batch.failures) for batch in fed] == [[2], [4, 5], [6, 7, 8]]
    assert fed[1].failures[5] == "has changed" != fed[1].failures[4]
    assert [None if batch.state is None else len(batch.state.hidden) for batch in fed] == [2, 1, None]
    assert [0, 1] in asked, "those that are read again are looked at again"
