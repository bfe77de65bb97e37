from __future__ import annotations

import os
from pathlib import Path

import pytest

from headstart.kernel.files import hash_bytes
from headstart.pipeline import cache_contents as cache_parts
from headstart.runners import _kept_graphs as module
from headstart.runners._flat import Signature
from headstart.runners._kept_graphs import DIGEST, MOST_BYTES, Graph, keep, kept

SIGNATURE = Signature(("attention_mask",), ("hidden", "context.tokens"), ("attention_mask",))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    return tmp_path / "graphs"


def only(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def used_at(folder: Path, second: int) -> None:
    """Set when the newest graph was used."""
    newest = max(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    os.utime(newest, (second, second))


def test_a_graph_comes_back_as_it_was_kept() -> None:
    assert kept("one") is None
    keep("one", Graph(SIGNATURE, b"compiled"))
    keep("other", Graph(Signature((), ("hidden",), ()), b""))
    assert kept("one") == Graph(SIGNATURE, b"compiled")
    assert kept("other") == Graph(Signature((), ("hidden",), ()), b"")


def test_the_cache_knows_the_files_as_its_own(folder: Path) -> None:
    keep("one", Graph(SIGNATURE, b"compiled"))
    assert cache_parts.own(folder.parent, "graphs") == [only(folder)]


@pytest.mark.parametrize("place", [0, DIGEST + 9, -1])
def test_a_flipped_bit_makes_it_count_for_nothing(folder: Path, place: int) -> None:
    keep("one", Graph(SIGNATURE, b"compiled"))
    content = bytearray(only(folder).read_bytes())
    content[place] ^= 1
    only(folder).write_bytes(content)
    assert kept("one") is None


def described(text: bytes) -> bytes:
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    "body", [b"", described(b"{"), described(b'{"context": ["a"], "long": []}'), described(b"[1]")]
)
def test_what_another_version_has_kept_counts_for_nothing(folder: Path, body: bytes) -> None:
    keep("one", Graph(SIGNATURE, b"compiled"))
    only(folder).write_bytes(hash_bytes(body).encode() + body)
    assert kept("one") is None


def test_those_used_least_recently_go_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for second, name in enumerate("abc"):
        keep(name, Graph(SIGNATURE, bytes(1000)))
        used_at(folder, second)
    monkeypatch.setattr(module, "MOST_BYTES", 4000)
    assert kept("a") is not None
    keep("d", Graph(SIGNATURE, bytes(1000)))
    assert [kept(name) is not None for name in "abcd"] == [True, False, True, True]


def test_one_that_takes_all_the_room_drives_out_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_BYTES == 2_000_000_000
    keep("a", Graph(SIGNATURE, bytes(1000)))
    monkeypatch.setattr(module, "MOST_BYTES", 2000)
    keep("large", Graph(SIGNATURE, bytes(3000)))
    assert kept("large") is None
    assert kept("a") is not None


def test_a_cache_that_cannot_be_written_keeps_nothing_and_says_nothing(folder: Path) -> None:
    folder.parent.mkdir(exist_ok=True)
    folder.touch()
    keep("one", Graph(SIGNATURE, b"compiled"))
    assert kept("one") is None


def test_a_cache_that_can_only_be_read_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    keep("one", Graph(SIGNATURE, b"compiled"))

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "utime", refuse)
    assert kept("one") is not None
