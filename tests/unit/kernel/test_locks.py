from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

import pytest

from headstart.kernel import locks

PATIENCE = 10.0

HOLD = """
import sys
from pathlib import Path
from headstart.kernel.locks import locked
held = locked(Path(sys.argv[1]), 10.0)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made if need be" / "lock"


def test_one_at_a_time_has_the_lock(path: Path) -> None:
    with locks.locked(path, PATIENCE):
        with pytest.raises(TimeoutError, match="stays locked"):
            locks.locked(path, 0.05)
        with open(path, "ab") as file:
            assert not locks.flock(file)
    locks.locked(path, 0.0).close()


def test_who_waits_gets_it_when_it_is_free(path: Path) -> None:
    order = []
    first = locks.locked(path, PATIENCE)

    def wait() -> None:
        with locks.locked(path, PATIENCE):
            order.append("second")

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.05)
    order.append("first")
    first.close()
    thread.join(PATIENCE)
    assert order == ["first", "second"]


def test_a_process_that_is_killed_lets_go_of_it(path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    with pytest.raises(TimeoutError):
        locks.locked(path, 0.05)
    holder.kill()
    holder.communicate(timeout=PATIENCE)
    locks.locked(path, PATIENCE).close()


def test_a_lock_that_was_cleared_up_while_it_was_waited_for_counts_for_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = locks.flock

    def too_late(file: IO[bytes]) -> bool:
        monkeypatch.setattr(locks, "flock", lock)
        path.unlink()
        return lock(file)

    monkeypatch.setattr(locks, "flock", too_late)
    with locks.locked(path, PATIENCE) as held:
        assert os.path.samestat(path.stat(), os.fstat(held.fileno()))


def test_where_there_are_no_locks_it_is_an_error_at_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "fcntl", None)
    with pytest.raises(OSError, match="cannot be locked"):
        locks.locked(path, 600.0)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder in which nothing can be made")
def test_a_folder_that_cannot_be_made_is_an_error_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    with pytest.raises(FileNotFoundError):
        locks.locked(Path("/proc/nobody/.cache/headstart/lock"), 120.0)
    assert len(pauses) < locks.MOST_MISSING
