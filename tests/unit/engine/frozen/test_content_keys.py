from __future__ import annotations

import os
import sys
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headstart.contracts.examples import Examples, Schema
from headstart.engine.frozen import content_keys as module
from headstart.engine.frozen.content_keys import CHANGED, changes, content_keys
from headstart.kernel.progress import Quiet


class Counting(Quiet):
    """Remembers how many files were read."""

    def __init__(self) -> None:
        self.read = 0

    @contextmanager
    def counter(self, label: str, total: int | None, unit: str) -> Any:
        def advance(count: int) -> None:
            self.read += count

        yield advance


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))


def examples(modality: str, **columns: Sequence[Any]) -> Examples:
    table = pa.table({name: list(values) for name, values in columns.items()})
    table = table.append_column("origin", pa.array([str(row) for row in range(table.num_rows)]))
    return Examples(table, Schema(modality=modality, inputs=tuple(columns), origin="origin"))


def files(folder: Path, *contents: bytes) -> list[str]:
    paths = []
    for number, content in enumerate(contents):
        path = folder / f"{number}.png"
        path.write_bytes(content)
        settle(path, 100)
        paths.append(str(path))
    return paths


def settle(path: Path, seconds_ago: float) -> None:
    when = time.time() - seconds_ago
    os.utime(path, (when, when))


def test_keys_depend_on_the_bytes_alone(tmp_path: Path) -> None:
    paths = files(tmp_path, b"one", b"two", b"one")
    keys, failures = content_keys(examples("image", path=paths))
    assert keys[0] == keys[2] != keys[1]
    assert len(str(keys[0])) == 32
    assert failures == {}
    in_memory = content_keys(examples("image", path=[b"one", b"two", b""]))
    assert in_memory.keys == [keys[0], keys[1], None]
    assert in_memory.failures == {2: "is empty (0 bytes)"}


def test_files_that_cannot_be_read_have_no_key_but_a_reason(tmp_path: Path) -> None:
    paths = [*files(tmp_path, b"one", b""), str(tmp_path / "gone"), str(tmp_path)]
    keys, failures = content_keys(examples("image", path=paths))
    assert [key is None for key in keys] == [False, True, True, True]
    assert failures[1] == "is empty (0 bytes)"
    assert failures[2] == "is missing"
    assert failures[3].startswith("cannot be read")


def test_a_second_look_reads_no_file(tmp_path: Path) -> None:
    data = examples("image", path=files(tmp_path, b"one", b"two"))
    first, second = Counting(), Counting()
    keys = content_keys(data, first).keys
    assert content_keys(data, second).keys == keys
    assert (first.read, second.read) == (2, 0)


@pytest.mark.parametrize(("content", "ago"), [(b"new", 50.0), (b"longer", 100.0)])
def test_a_changed_file_is_read_again(tmp_path: Path, content: bytes, ago: float) -> None:
    paths = files(tmp_path, b"one", b"two")
    before = content_keys(examples("image", path=paths)).keys
    Path(paths[0]).write_bytes(content)
    settle(Path(paths[0]), ago)
    counting = Counting()
    after = content_keys(examples("image", path=paths), counting).keys
    assert after[0] != before[0]
    assert after[1] == before[1]
    assert counting.read == 1


def test_a_file_that_changed_just_now_is_not_trusted_to_its_time(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"one")
    status = path.stat()
    before = content_keys(examples("image", path=[str(path)])).keys
    path.write_bytes(b"two")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert content_keys(examples("image", path=[str(path)])).keys != before


def test_a_broken_cache_costs_only_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = examples("image", path=files(tmp_path, b"one"))
    keys = content_keys(data).keys
    (tmp_path / "in the way").write_text("")
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "in the way"))
    assert content_keys(data).keys == keys


def test_many_files_keep_their_order(tmp_path: Path) -> None:
    paths = files(tmp_path, *(str(k).encode() for k in range(300)))
    keys = content_keys(examples("image", path=paths)).keys
    assert keys == [content_keys(examples("image", path=[path])).keys[0] for path in paths]
    assert len(set(keys)) == 300


def test_texts_and_pairs_have_keys_of_their_own() -> None:
    single = content_keys(examples("text", text=["ab", "ab ", "ab", ""])).keys
    assert single[0] == single[2]
    assert len(set(single)) == 3
    one, other, swapped = content_keys(examples("text", a=["ab", "a", "c"], b=["c", "bc", "ab"])).keys
    assert len({one, other, swapped, content_keys(examples("text", text=["abc"])).keys[0]}) == 4


def test_numbers_are_the_same_whatever_their_type() -> None:
    whole = content_keys(examples("table", x=[1, 2], y=[0, 1])).keys
    broken = content_keys(examples("table", x=[1.0, 2.0], y=[-0.0, 1.0])).keys
    assert whole == broken
    assert whole[0] != whole[1]


def test_only_files_that_are_no_longer_what_they_were_are_changes(tmp_path: Path) -> None:
    paths = files(tmp_path, b"one", b"two", b"three", b"four", b"five")
    data = examples("image", path=paths)
    keys = content_keys(data).keys
    assert changes(data, keys, np.arange(5)) == {}
    Path(paths[0]).write_bytes(b"ONE")
    Path(paths[1]).unlink()
    Path(paths[2]).write_bytes(b"")
    settle(Path(paths[3]), 3)
    found = changes(data, keys, np.array([4, 3, 2, 1, 0]))
    assert found == {0: CHANGED, 1: "is missing", 2: "is empty (0 bytes)"}
    assert changes(data, keys, np.array([3, 4])) == {}


def test_what_lies_in_memory_does_not_change() -> None:
    for data in (examples("image", path=[b"one"]), examples("text", text=["one"]), examples("table", x=[1.0])):
        assert changes(data, ["another key"], np.array([0])) == {}


def test_two_that_want_the_keys_of_the_same_files_at_once_read_each_file_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = examples("image", path=files(tmp_path, *(str(number).encode() for number in range(60))))
    original, read, both = module._file_key, Counter[Path](), threading.Barrier(2)

    def counted(path: Path) -> Any:
        read[path] += 1
        return original(path)

    def keys() -> list[str | None]:
        both.wait(60)
        return content_keys(data).keys

    monkeypatch.setattr(module, "_file_key", counted)
    monkeypatch.setattr(module, "AT_ONCE", 20)
    with ThreadPoolExecutor(2) as pool:
        one, other = (pool.submit(keys) for _ in range(2))
        assert one.result() == other.result()
    assert sorted(read.values()) == [1] * 60


def test_beside_its_key_an_example_takes_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = examples("image", path=files(tmp_path, b"one") * 5000)
    content_keys(data.take([0]))
    monkeypatch.setattr(module, "AT_ONCE", 50)
    tracemalloc.start()
    try:
        keys = content_keys(data).keys
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < len(keys) * (sys.getsizeof(keys[0]) + 32)
