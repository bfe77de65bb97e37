"""Real worker processes: what they read, what becomes of those that die, and that none is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forked_processes import SECONDS, Forked
from headstart.engine.frozen import reading_workers
from headstart.engine.frozen.reading import joined, read_inputs
from headstart.engine.frozen.reading_workers import POSSIBLE, STOPPED, ReadingWorkers
from headstart.kernel.errors import HeadstartError
from living_processes import LISTED, alive, reading_workers_of
from worker_readers import Letters, ProcessAndModules, Unreachable, Waiting

pytestmark = pytest.mark.skipif(not POSSIBLE, reason="worker processes need POSIX")

TEXTS = ["one", "bad 1", "three", "bad 2", "five", "six"]
MOST = 4


@pytest.fixture(scope="module")
def workers() -> Iterator[ReadingWorkers]:
    """One worker for the tests that leave it alive."""
    with ReadingWorkers(Letters(), 1, MOST) as started:
        yield started


def children() -> set[int]:
    """The workers that this process has started and that live."""
    if not LISTED:
        pytest.skip("this system does not list the children of a process")
    return reading_workers_of(os.getpid())


def wait_until(holds: Callable[[], Any]) -> None:
    give_up = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def read(found: Any) -> list[str]:
    return [array.tobytes().decode().strip() for array in found.arrays]


@pytest.mark.slow
def test_a_worker_reads_what_this_process_reads(workers: ReadingWorkers) -> None:
    here, there = read_inputs(Letters(), TEXTS[:4]), workers.read(TEXTS[:4])
    assert np.array_equal(here.arrays, there.arrays) and here.arrays.dtype == there.arrays.dtype
    assert here.failures == there.failures == {1: "is bad: bad 1", 3: "is bad: bad 2"}


@pytest.mark.slow
def test_more_inputs_than_fit_at_once(workers: ReadingWorkers) -> None:
    found = workers.read(TEXTS * 3)
    assert read(found) == ["one", "thre", "five", "six"] * 3
    assert sorted(found.failures) == [1, 3, 7, 9, 13, 15]
    assert found.failures[15] == "is bad: bad 2"


@pytest.mark.parametrize("texts", [[], ["bad 1"], ["bad 1", "bad 2"]])
def test_lists_of_which_nothing_can_be_read(workers: ReadingWorkers, texts: list[str]) -> None:
    found = workers.read(texts)
    assert len(found.arrays) == 0
    assert found.failures == {position: f"is bad: {text}" for position, text in enumerate(texts)}


def test_what_a_decoder_prints_does_not_get_among_the_answers(workers: ReadingWorkers) -> None:
    assert read(workers.read(["loud", "two"])) == ["loud", "two"]


def test_an_answer_is_not_overwritten_by_the_next(workers: ReadingWorkers) -> None:
    first = workers.read(["aaaa", "bbbb"])
    workers.read(["cccc", "dddd"])
    assert read(first) == ["aaaa", "bbbb"]


def test_answers_of_several_lists_are_put_together_by_position() -> None:
    parts = [read_inputs(Letters(), some) for some in (["bad", "b"], [], ["c", "bad"], ["bad"])]
    whole = joined(parts)
    assert read(whole) == ["b", "c"]
    assert sorted(whole.failures) == [0, 3, 4]
    assert joined([]).arrays.shape == (0,)


def test_several_threads_share_the_workers(workers: ReadingWorkers) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda number: read(workers.read([f"{number:04d}"])), range(40)))
    assert found == [[f"{number:04d}"] for number in range(40)]


@pytest.mark.slow
def test_an_input_that_ends_its_process_is_the_only_one_named() -> None:
    before = children()
    with ReadingWorkers(Letters(), 1, MOST) as started:
        found = started.read(["one", "bad", "exit"])
        assert read(found) == ["one"]
        assert found.failures == {1: "is bad: bad", 2: STOPPED}
        assert children() == before
    assert children() == before


@pytest.mark.slow
def test_a_worker_killed_from_outside_loses_nothing(tmp_path: Path) -> None:
    before, begun, go_on = children(), tmp_path / "begun", tmp_path / "go on"
    with ReadingWorkers(Waiting(begun, go_on), 1, MOST) as started, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(started.read, ["one", "two", "six"])
        wait_until(begun.exists)
        (worker,) = children() - before
        os.kill(worker, signal.SIGKILL)
        go_on.touch()
        found = answer.result(SECONDS)
    assert read(found) == ["one", "two", "six"]
    assert found.failures == {}
    assert children() == before


@pytest.mark.slow
def test_what_cannot_be_unpickled_in_a_worker_is_refused_once_and_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    before = children()
    with ReadingWorkers(Unreachable(os.getpid()), 2, MOST) as started:
        with pytest.raises(HeadstartError, match="end as soon as they are started"):
            started.read(["one"])
        monkeypatch.setattr(subprocess, "Popen", None)  # no further process is tried
        with pytest.raises(HeadstartError, match="end as soon as they are started"):
            started.read(["one", "two"])
    assert children() == before


def test_where_no_process_can_be_started_that_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no python"))
    with ReadingWorkers(Letters(), 1, MOST) as started:
        for _ in range(3):
            with pytest.raises(HeadstartError, match="no worker process can be started: No such file"):
                started.read(["one"])


def test_after_the_end_nothing_is_started() -> None:
    before = children()
    with ReadingWorkers(Letters(), 1, MOST) as started:
        pass
    with pytest.raises(HeadstartError, match="the pass has ended"):
        started.read(["one"])
    assert children() == before


@pytest.mark.slow
def test_a_worker_that_does_not_end_by_itself_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_workers, "PATIENCE_S", 0.1)
    before = children()
    with ReadingWorkers(Letters(), 1, MOST) as started:
        started._started()
        wait_until(lambda: children() - before)  # a process just begun has no command line yet
        (worker,) = children() - before
        os.kill(worker, signal.SIGSTOP)
    assert children() == before


@pytest.mark.slow
def test_modules_are_looked_for_where_this_process_looks_and_not_in_the_users_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "queue.py").write_text("raise SystemExit('the wrong module')")
    (tmp_path / "mmap.py").write_text("raise SystemExit('the wrong module')")
    monkeypatch.chdir(tmp_path)
    with ReadingWorkers(ProcessAndModules(), 1, MOST) as started:
        process, has = started.read(["worker_readers"]).arrays[0].view(np.uint32).tolist()
    assert process != os.getpid()
    assert has


def hold_a_worker() -> None:
    with ReadingWorkers(ProcessAndModules(), 1, MOST) as workers:
        print(workers.read(["x"]).arrays[0].view(np.uint32)[0], flush=True)
        time.sleep(SECONDS)


@pytest.mark.slow
def test_workers_end_with_a_parent_that_is_killed() -> None:
    with Forked(hold_a_worker) as parent:
        wait_until(lambda: parent.out)
        worker = int(parent.out)
        assert alive(worker)
    wait_until(lambda: not alive(worker))
