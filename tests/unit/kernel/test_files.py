"""Files are written whole or not at all; hashes depend on what was hashed and nothing else."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from headstart.kernel.errors import HeadstartError
from headstart.kernel.files import delete, hash_bytes, hash_json, read_json, write_atomic, write_json


def test_write_makes_folders_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.bin"
    write_atomic(path, b"old")
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert [file.name for file in path.parent.iterdir()] == ["b.bin"]


def test_a_full_disk_leaves_the_old_file_and_no_remains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "kept.json"
    write_atomic(path, b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(HeadstartError, match=r"cannot write .*kept\.json: No space left on device"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["kept.json"]


def test_json_goes_there_and_back(tmp_path: Path) -> None:
    value = {"naïve": [1, 2.5, None, "ü"]}
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == value
    assert "ü" in (tmp_path / "x.json").read_text(encoding="utf-8")


def test_missing_and_damaged_json_say_so(tmp_path: Path) -> None:
    with pytest.raises(HeadstartError, match=r"x\.json is missing"):
        read_json(tmp_path / "x.json")
    for content in (b'{"cut": ', b"\xff\xfe\x00"):
        (tmp_path / "x.json").write_bytes(content)
        with pytest.raises(HeadstartError, match=r"x\.json is damaged"):
            read_json(tmp_path / "x.json")


def test_hashed_parts_do_not_run_together() -> None:
    assert hash_bytes(b"ab", b"c") != hash_bytes(b"a", b"bc")
    assert hash_bytes(b"ab") == hash_bytes(b"ab")
    assert len(hash_bytes(b"", size=8)) == 16


def test_a_json_hash_ignores_the_order_of_keys_and_nothing_else() -> None:
    assert hash_json({"a": 1, "b": [1, 2]}) == hash_json({"b": [1, 2], "a": 1})
    assert hash_json({"b": [1, 2]}) != hash_json({"b": [2, 1]})


def test_files_links_and_whole_folders_are_deleted_and_what_is_gone_is_no_fault(tmp_path: Path) -> None:
    write_atomic(tmp_path / "folder" / "below" / "file", b"x")
    write_atomic(tmp_path / "kept" / "file", b"x")
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    for name in ("folder", "link", "link", "gone"):
        delete(tmp_path / name)
    assert [path.name for path in tmp_path.rglob("*")] == ["kept", "file"]
