from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from headstart.engine.frozen.disk_cache import DiskCache


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))


def test_what_was_put_is_known_and_later_values_win() -> None:
    disk_cache = DiskCache("words")
    assert disk_cache.get([b"a"]) == {}
    disk_cache.put({b"a": b"1", b"b": b"2"})
    disk_cache.put({b"a": b"3"})
    assert DiskCache("words").get([b"a", b"b", b"c"]) == {b"a": b"3", b"b": b"2"}
    assert DiskCache("others").get([b"a"]) == {}


def test_many_keys_are_found_at_once() -> None:
    values = {str(k).encode(): b"x" * k for k in range(1700)}
    disk_cache = DiskCache("many")
    disk_cache.put(values)
    assert disk_cache.get(list(values)) == values


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_damaged_file_is_forgotten_and_replaced(content: bytes) -> None:
    disk_cache = DiskCache("damaged")
    disk_cache.path.parent.mkdir(parents=True)
    disk_cache.path.write_bytes(content)
    assert disk_cache.get([b"a"]) == {}
    disk_cache.put({b"a": b"1"})
    assert disk_cache.get([b"a"]) == {b"a": b"1"}


def test_a_folder_that_cannot_be_made_costs_only_the_memo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "file"))
    disk_cache = DiskCache("words")
    disk_cache.put({b"a": b"1"})
    assert disk_cache.get([b"a"]) == {}


def test_a_read_only_database_is_still_read(monkeypatch: pytest.MonkeyPatch) -> None:
    disk_cache = DiskCache("words")
    disk_cache.put({b"a": b"1"})
    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, timeout: real(f"file:{path}?mode=ro", timeout, uri=True))
    disk_cache.put({b"b": b"2"})
    assert disk_cache.get([b"a", b"b"]) == {b"a": b"1"}


FILL = """
import sys
from headstart.engine.frozen.disk_cache import DiskCache
for k in range(40):
    key = f"{sys.argv[1]} {k}".encode()
    # entries may be forgotten where others hold the lock, but none that was kept
    while not DiskCache("shared").get([key]):
        DiskCache("shared").put({key: b"x"})
"""


def test_several_processes_fill_one_memo() -> None:
    DiskCache("shared").put({b"first": b"x"})
    running = [subprocess.Popen([sys.executable, "-c", FILL, str(k)]) for k in range(3)]
    assert [process.wait(timeout=300) for process in running] == [0, 0, 0]
    keys = [f"{process} {k}".encode() for process in range(3) for k in range(40)]
    assert len(DiskCache("shared").get([b"first", *keys])) == 121
