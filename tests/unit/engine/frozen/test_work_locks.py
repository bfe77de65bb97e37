from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from headstart.engine.frozen import work_locks as turns
from headstart.engine.frozen.work_locks import work_lock
from headstart.kernel import locks


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    return tmp_path


def test_whoever_comes_second_waits_for_the_first() -> None:
    seen: list[str] = []
    began = threading.Event()

    def second() -> None:
        began.set()
        with work_lock("look-1"):
            seen.append("second")

    with work_lock("look-1"):
        thread = threading.Thread(target=second)
        thread.start()
        began.wait()
        time.sleep(0.05)
        seen.append("first")
    thread.join(60)
    assert seen == ["first", "second"]


def test_other_names_are_not_waited_for() -> None:
    with work_lock("look-1"), work_lock("other-1"):
        pass


def test_an_error_in_a_turn_ends_it() -> None:
    with pytest.raises(ValueError), work_lock("look-1"):
        raise ValueError
    with work_lock("look-1"):
        pass


@pytest.mark.parametrize("lack", ["no locks", "no folder"])
def test_where_nothing_can_be_locked_everybody_goes_on(
    lack: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lack == "no locks":
        monkeypatch.setattr(locks, "fcntl", None)
    else:
        (folder / "memo").touch()
    with work_lock("look-1"), work_lock("look-1"):
        pass


def test_somebody_who_hangs_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 0.05)
    with work_lock("look-1"), work_lock("look-1"):
        pass
