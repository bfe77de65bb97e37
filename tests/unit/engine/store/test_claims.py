from __future__ import annotations

import errno
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headstart.engine.store import claims
from headstart.engine.store.claims import FOLDER, LOCK, Claims, in_progress_since
from headstart.kernel import locks

KEYS = [f"{number:032x}" for number in range(10)]
PATIENCE = 5.0


@pytest.fixture
def space(tmp_path: Path) -> Path:
    """The folder of a space with a shard; the space itself does not matter here."""
    folder = tmp_path / "space"
    folder.mkdir()
    (folder / "some.shard").touch()
    return folder


def owners(space: Path) -> list[Path]:
    return [path for path in (space / FOLDER).iterdir() if path.name != LOCK]


def test_what_one_claims_the_other_passes_over(space: Path) -> None:
    one, other = Claims(space, PATIENCE), Claims(space, PATIENCE)
    assert one.take(KEYS, 3) == [True] * 3
    assert other.take(KEYS, 4) == [False] * 3 + [True] * 4
    assert one.take(KEYS[3:], 9) == [False] * 4 + [True] * 3
    assert other.take(KEYS[7:], 9) == [False] * 3


def test_a_claim_that_was_given_back_is_free(space: Path) -> None:
    one, other = Claims(space, PATIENCE), Claims(space, PATIENCE)
    one.take(KEYS, 3)
    one.release(KEYS[:2])
    assert other.take(KEYS[:3], 9) == [True, True, False]
    one.release()
    assert other.take(KEYS[:3], 9) == [True, True, True]


def test_who_is_closed_claims_nothing_and_the_last_one_clears_up(space: Path) -> None:
    one, other = Claims(space, PATIENCE), Claims(space, PATIENCE)
    one.take(KEYS, 3)
    one.close()
    assert len(owners(space)) == 1
    assert other.take(KEYS, 3) == [True] * 3
    other.close()
    assert [path.name for path in space.iterdir()] == ["some.shard"]


def test_a_space_that_got_nothing_leaves_no_folder(tmp_path: Path) -> None:
    claims = Claims(tmp_path / "store" / "space", PATIENCE)
    assert claims.shared
    claims.close()
    claims.close()
    assert not (tmp_path / "store" / "space").exists()


CLAIM_AND_WAIT = """
import sys, time
from pathlib import Path
from headstart.engine.store.claims import Claims
claims = Claims(Path(sys.argv[1]), 60.0)
claims.take(sys.argv[2:], 99)
print("claimed", flush=True)
time.sleep(600)
"""


def test_the_claims_of_the_dead_are_void(space: Path) -> None:
    own = Claims(space, PATIENCE)
    line = [sys.executable, "-c", CLAIM_AND_WAIT, str(space), *KEYS[:4]]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "claimed\n"
        assert own.take(KEYS, 2) == [False] * 4 + [True] * 2
        assert len(owners(space)) == 2
        process.send_signal(signal.SIGKILL)
    assert own.take(KEYS[:6], 9) == [True] * 6
    assert len(owners(space)) == 1
    own.close()
    assert not (space / FOLDER).exists()


def test_who_makes_no_progress_loses_its_claims_until_it_does(space: Path) -> None:
    slow, waiting = Claims(space, PATIENCE), Claims(space, 0.05)
    slow.take(KEYS, 2)
    assert waiting.take(KEYS[:2], 9) == [False, False]
    time.sleep(0.06)
    slow.beat()
    assert waiting.take(KEYS[:2], 9) == [False, False]
    time.sleep(0.06)
    assert waiting.take(KEYS[:1], 9) == [True]
    slow.beat()
    assert waiting.take(KEYS[1:2], 9) == [False]


def test_a_pause_of_its_own_is_not_laid_to_others(space: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "LONGEST_GAP", 0.01)
    busy, paused = Claims(space, PATIENCE), Claims(space, 0.05)
    busy.take(KEYS, 2)
    paused.take(KEYS[:2], 9)
    time.sleep(0.1)
    assert paused.take(KEYS[:2], 9) == [False, False]


def test_a_wrong_clock_changes_nothing(space: Path) -> None:
    other, own = Claims(space, PATIENCE), Claims(space, PATIENCE)
    other.take(KEYS, 2)
    for moment in (0.0, 4e9):
        os.utime(owners(space)[0], (moment, moment))
        os.utime(owners(space)[1], (moment, moment))
        assert own.take(KEYS[:2], 9) == [False, False]


def without_locks(*_: object) -> None:
    raise OSError(errno.ENOLCK, "No locks available")


@pytest.mark.parametrize("lack", ["no folder", "in memory", "no fcntl", "no locks"])
def test_where_nothing_can_be_shared_everybody_takes_everything(
    lack: str, space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder: Path | None = space
    if lack == "in memory":
        folder = None
    elif lack == "no folder":
        folder = space / "some.shard" / "below a file"
    elif lack == "no fcntl":
        monkeypatch.setattr(locks, "fcntl", None)
    else:
        monkeypatch.setattr("fcntl.flock", without_locks)
    one, other = Claims(folder, PATIENCE), Claims(folder, PATIENCE)
    assert not one.shared
    assert one.take(KEYS, 4) == other.take(KEYS, 4) == [True] * 4
    one.release(KEYS[:1])
    one.beat()
    one.close()


def test_where_locks_fail_half_way_the_rest_is_done_alone(space: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = Claims(space, PATIENCE), Claims(space, PATIENCE)
    one.take(KEYS, 4)
    with monkeypatch.context() as patch:
        patch.setattr("fcntl.flock", without_locks)
        assert other.take(KEYS, 4) == [True] * 4
    assert not other.shared
    assert other.take(KEYS, 4) == [True] * 4
    assert one.take(KEYS, 99) == [True] * 10


def test_a_lock_that_hangs_is_not_waited_for_for_ever(space: Path) -> None:
    other, own = Claims(space, PATIENCE), Claims(space, 0.05)
    other.take(KEYS, 2)
    with locks.locked(space / FOLDER / LOCK, PATIENCE):
        assert own.take(KEYS, 3) == [True] * 3
    assert not own.shared
    assert other.take(KEYS, 99) == [True] * 10


def test_a_cleared_space_is_shared_again(space: Path) -> None:
    one, other = Claims(space, PATIENCE), Claims(space, PATIENCE)
    one.take(KEYS, 2)
    shutil.rmtree(space)
    one.take(KEYS[2:], 2)
    assert other.take(KEYS, 1) == [False] * 4 + [True]
    assert one.take(KEYS[4:], 1) == [False, True]


def test_a_file_that_is_cut_short_claims_what_is_whole(space: Path) -> None:
    other, own = Claims(space, PATIENCE), Claims(space, PATIENCE)
    path = owners(space)[0]
    other.take(KEYS, 2)
    path = next(path for path in owners(space) if path.stat().st_size)
    os.truncate(path, 24)
    assert own.take(KEYS[:2], 9) == [False, True]


def test_since_when_work_goes_on(space: Path) -> None:
    assert in_progress_since(space) == math.inf
    one, other = Claims(space, PATIENCE), Claims(space, PATIENCE)
    began = (space / FOLDER / LOCK).stat().st_mtime
    other.take(KEYS, 2)
    assert in_progress_since(space) == began
    one.close()
    assert in_progress_since(space) == began
    other.close()
    assert in_progress_since(space) == math.inf


def test_work_begins_anew_after_what_the_dead_left(space: Path) -> None:
    (space / FOLDER).mkdir()
    for name in (LOCK, "1-dead"):
        (space / FOLDER / name).touch()
        os.utime(space / FOLDER / name, (1e9, 1e9))
    assert in_progress_since(space) == math.inf
    claims = Claims(space, PATIENCE)
    assert 1e9 < in_progress_since(space) < math.inf
    assert claims.take(KEYS, 99) == [True] * 10
    assert len(owners(space)) == 1


TAKE_ALL = """
import sys
from pathlib import Path
from headstart.engine.store.claims import Claims
keys = [f"{number:032x}" for number in range(400)]
claims = Claims(Path(sys.argv[1]), 60.0)
print("ready", flush=True)
sys.stdin.readline()
start, mine = 0, []
while start < len(keys):
    taken = claims.take(keys[start:], 3)
    mine += [key for key, own in zip(keys[start:], taken) if own]
    start += len(taken)
print(*mine, flush=True)
sys.stdin.readline()
claims.close()
"""


def test_processes_that_claim_at_once_never_claim_the_same(space: Path) -> None:
    line = [sys.executable, "-c", TAKE_ALL, str(space)]
    running = [subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for heard in ("ready\n", None):
        answers = [process.stdout.readline() for process in running if process.stdout]
        assert heard is None or answers == [heard] * 3
        for process in running:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
    taken = [key for answer in answers for key in answer.split()]
    assert sorted(taken) == [f"{number:032x}" for number in range(400)]
    for process in running:
        process.communicate(timeout=300)
    assert not (space / FOLDER).exists()
