from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from headstart.engine.store.claims import FOLDER, Claims
from headstart.engine.store.columns import Ragged
from headstart.engine.store.feature_store import FeatureStore
from headstart.engine.store.space import OPEN_SHARDS, Space
from headstart.kernel.errors import StoreError
from headstart.kernel.files import hash_bytes, read_json
from headstart.kernel.progress import Quiet


class Sentences(Quiet):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def keys(count: int, salt: str = "") -> list[str]:
    return [hash_bytes(f"{salt}{i}".encode()) for i in range(count)]


def vectors(count: int, width: int = 8) -> np.ndarray:
    return np.random.default_rng(count).standard_normal((count, width), dtype=np.float32)


def filled(store: FeatureStore, names: list[str], values: np.ndarray, about: str = "a") -> Space:
    space = store.space({"weights": about})
    space.append(names, {"hidden": values})
    space.flush()
    return space


def shards(store: FeatureStore) -> list[Path]:
    return sorted(store.root.rglob("*.shard"))


def shards_of(store: FeatureStore, about: str) -> list[Path]:
    return [p for e in store.entries() if e.about["key"]["weights"] == about for p in e.folder.glob("*.shard")]


def grow_old(paths: list[Path], seconds: float = 5000) -> None:
    for path in paths:
        os.utime(path, (time.time() - seconds, time.time() - seconds))


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "store", 10**9)


def test_entries_come_back_in_any_order_from_another_process(store: FeatureStore) -> None:
    names, values = keys(50), vectors(50)
    space = store.space({"weights": "a"})
    for start in range(0, 50, 10):
        space.append(names[start : start + 10], {"hidden": values[start : start + 10]})
        space.flush()
    order = np.random.default_rng(0).permutation(50)
    other = FeatureStore(store.root, 10**9).space({"weights": "a"})
    assert np.array_equal(other.read([names[i] for i in order])["hidden"], values[order])
    assert np.array_equal(other.read([names[7]] * 3)["hidden"], values[[7, 7, 7]])
    assert len(shards(store)) == 5


def test_only_what_is_stored_is_found(store: FeatureStore) -> None:
    names = keys(6)
    space = filled(store, names[:3], vectors(3))
    assert space.lookup(names).found.tolist() == [True] * 3 + [False] * 3
    with pytest.raises(StoreError, match="3 of 6"):
        space.read(names)
    assert not store.space({"weights": "b"}).lookup(names).found.any()
    assert space.lookup([]).found.tolist() == []


def test_keys_that_share_their_first_half_are_told_apart(store: FeatureStore) -> None:
    space = filled(store, ["0" * 32], vectors(1))
    assert space.lookup(["0" * 31 + "1", "0" * 32]).found.tolist() == [False, True]


def test_a_key_of_another_length_is_refused(store: FeatureStore) -> None:
    with pytest.raises(StoreError, match="32 hex digits"):
        store.space({}).lookup(["abcd"])
    with pytest.raises(StoreError, match="hex"):
        store.space({}).lookup(["file.png"])


def test_ragged_entries_come_back_from_several_shards(store: FeatureStore) -> None:
    names, lengths = keys(9), np.array([2, 0, 5, 1, 1, 7, 3, 4, 2])
    entries = [vectors(n, 3)[:n] for n in lengths]
    space = store.space({})
    for start in range(0, 9, 3):
        flat = np.concatenate(entries[start : start + 3])
        space.append(names[start : start + 3], {"tokens": Ragged.of(flat, lengths[start : start + 3])})
        if start:
            space.flush()
    order = [8, 2, 1, 5, 0, 3]
    tokens = FeatureStore(store.root, 10**9).space({}).read([names[i] for i in order])["tokens"]
    assert isinstance(tokens, Ragged)
    assert [entry.tolist() for entry in tokens] == [entries[i].tolist() for i in order]


def test_entries_of_another_shape_go_into_a_shard_of_their_own(store: FeatureStore) -> None:
    space, names = store.space({}), keys(4)
    space.append(names[:2], {"hidden": vectors(2, 8)})
    space.append(names[2:], {"hidden": vectors(2, 9)})
    space.flush()
    assert np.array_equal(space.read(names[2:])["hidden"], vectors(2, 9))
    with pytest.raises(StoreError, match="two kinds"):
        space.read(names)


def test_a_space_says_what_it_is(store: FeatureStore) -> None:
    space = store.space({"weights": "a"}, of="resnet18")
    space.append(keys(2), {"hidden": vectors(2)})
    space.flush()
    (entry,) = store.entries()
    assert entry.about["of"] == "resnet18"
    assert entry.about["key"]["weights"] == "a"
    assert (entry.shards, entry.damaged, entry.examples, entry.bytes) == (1, 0, 2, store.size())
    assert read_json(entry.folder / "space.json") == entry.about


def test_clearing_deletes_spaces_whole_and_nothing_else(store: FeatureStore) -> None:
    space = filled(store, keys(2), vectors(2))
    assert space.folder is not None
    (space.folder / "left by another version").write_text("x")
    (store.root / ("cd" * 16) / "claims").mkdir(parents=True)
    foreign = store.root / ("ab" * 16)
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("years of work")
    assert store.clear() == []
    assert (store.size(), store.entries()) == (0, [])
    assert [path.relative_to(store.root).name for path in sorted(store.root.rglob("*"))] == [foreign.name, "thesis.tex"]


def test_damaged_spaces_are_shown_as_such_and_looking_is_no_use(store: FeatureStore) -> None:
    space = filled(store, keys(5), vectors(5))
    assert space.folder is not None
    grow_old(shards(store))
    (space.folder / "cut.shard").write_bytes(b"HSSHARD1 and no more")
    (space.folder / "space.json").write_text("{")
    before = [path.stat().st_mtime for path in shards(store)]
    (entry,) = store.entries()
    assert (entry.about, entry.shards, entry.damaged, entry.examples) == ({}, 2, 1, 5)
    assert [path.stat().st_mtime for path in shards(store)] == before


def test_more_shards_than_may_be_open_are_read(store: FeatureStore) -> None:
    count = OPEN_SHARDS + 20
    names, values = keys(count), vectors(count)
    space = store.space({})
    for i in range(count):
        space.append([names[i]], {"hidden": values[i : i + 1]})
        space.flush()
    space = FeatureStore(store.root, 10**9).space({})
    assert np.array_equal(space.read(names)["hidden"], values)
    assert len(space._open) == OPEN_SHARDS


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "head"])
def test_a_damaged_shard_is_set_aside_and_said_once(store: FeatureStore, damage: str) -> None:
    names, values = keys(20), vectors(20, 500)
    filled(store, names[:10], values[:10])
    filled(store, names[10:], values[10:])
    victim = shards(store)[0]
    content = bytearray(victim.read_bytes())
    if damage == "flip":
        content[-2000] ^= 4
    elif damage == "head":
        content[40] ^= 4
    victim.write_bytes(b"" if damage == "empty" else content[: len(content) // 2] if damage == "cut" else content)
    heard = Sentences()
    space = FeatureStore(store.root, 10**9).space({"weights": "a"}, reporter=heard)
    assert space.lookup(names).found.tolist() == [False] * 10 + [True] * 10
    assert not victim.exists()
    assert len(heard.said) == 1
    assert str(victim) in heard.said[0]
    space.append(names[:10], {"hidden": values[:10]})
    space.flush()
    assert np.array_equal(space.read(names)["hidden"], values)


def test_shards_of_other_processes_appear_and_go(store: FeatureStore) -> None:
    names = keys(4)
    space = store.space({"weights": "a"})
    assert not space.lookup(names).found.any()
    filled(FeatureStore(store.root, 10**9), names, vectors(4))
    assert space.lookup(names).found.all()
    shards(store)[0].unlink()
    assert not space.lookup(names).found.any()


def test_an_entry_that_was_evicted_after_it_was_located_is_named(store: FeatureStore) -> None:
    names = keys(2)
    filled(store, names, vectors(2))
    space = FeatureStore(store.root, 10**9).space({"weights": "a"})
    located = space.lookup(names)
    space._open.clear()
    shards(store)[0].unlink()
    with pytest.raises(StoreError, match="HEADSTART_CACHE_LIMIT"):
        space.gather(located, "hidden")


WRITER = """
import sys, numpy as np
from pathlib import Path
from headstart.engine.store.feature_store import FeatureStore
from headstart.kernel.files import hash_bytes
space = FeatureStore(Path(sys.argv[1]), 10**9, flush_seconds=0).space({"weights": "a"})
for i in range(int(sys.argv[2]), int(sys.argv[3])):
    space.append([hash_bytes(str(i).encode())], {"hidden": np.full((1, 8), i, np.float32)})
space.flush()
"""


@pytest.mark.slow
def test_two_processes_fill_a_space_at_once(store: FeatureStore) -> None:
    spans = [("0", "60"), ("30", "90")]
    running = [subprocess.Popen([sys.executable, "-c", WRITER, str(store.root), *span]) for span in spans]
    assert [process.wait(300) for process in running] == [0, 0]
    values = store.space({"weights": "a"}).read(keys(90))["hidden"]
    assert np.array_equal(values, np.repeat(np.arange(90, dtype=np.float32)[:, None], 8, axis=1))
    assert not list(store.root.rglob("*.part"))


def test_the_least_recently_used_shards_are_evicted_first(tmp_path: Path) -> None:
    big = FeatureStore(tmp_path / "store", 10**9)
    values = vectors(10, 1000)
    for about in "abcd":
        filled(big, keys(10), values, about)
    size = big.size() // 4
    for age, about in enumerate("cdab"):
        grow_old(shards_of(big, about), 5000 + age)
    reader = FeatureStore(big.root, 10**9)
    reader.space({"weights": "b"}).read(keys(10))
    assert time.time() - max(path.stat().st_mtime for path in shards(big)) < 100
    small = FeatureStore(big.root, int(3.5 * size))
    filled(small, keys(10), values, "e")
    assert small.size() <= small.limit
    assert [about for about in "abcde" if shards_of(small, about)] == ["b", "c", "e"]


def test_what_another_process_has_just_used_is_not_evicted(store: FeatureStore) -> None:
    filled(store, keys(10), vectors(10, 1000))
    FeatureStore(store.root, 1000).evict()
    assert store.size() > 1000


def test_what_a_pass_in_progress_has_stored_is_not_evicted(store: FeatureStore) -> None:
    folder = filled(store, keys(10), vectors(10, 1000)).folder
    assert folder is not None
    (before,) = shards(store)
    claims = Claims(folder, 60.0)
    filled(store, keys(10, "more"), vectors(10, 1000))
    grow_old([before], 9000)
    grow_old([*(folder / FOLDER).glob("lock")], 7000)
    grow_old([path for path in shards(store) if path != before], 6000)
    FeatureStore(store.root, 1000).evict()
    assert len(shards(store)) == 1 and not before.exists()
    claims.close()
    FeatureStore(store.root, 1000).evict()
    assert not shards(store)


def test_a_space_with_claims_is_listed_and_cleared(store: FeatureStore) -> None:
    folder = filled(store, keys(10), vectors(10)).folder
    assert folder is not None
    bytes_before = store.entries()[0].bytes
    claims = Claims(folder, 60.0)
    claims.take(keys(10), 10)
    (entry,) = store.entries()
    assert (entry.shards, entry.bytes, store.size()) == (1, bytes_before, bytes_before)
    assert not store.clear()
    assert not folder.exists()
    claims.release()
    claims.close()
    assert not folder.exists()


def test_what_is_in_use_is_not_evicted_and_the_user_is_told_once(tmp_path: Path) -> None:
    heard = Sentences()
    store = FeatureStore(tmp_path / "store", 20_000, flush_seconds=0)
    space = store.space({"weights": "a"}, reporter=heard)
    names, values = keys(30), vectors(30, 1000)
    for i in range(30):
        space.append(names[i : i + 1], {"hidden": values[i : i + 1]})
    space.flush()
    grow_old(shards(store))
    store.evict(heard)
    assert np.array_equal(space.read(names)["hidden"], values)
    assert len(heard.said) == 1
    assert "HEADSTART_CACHE_LIMIT" in heard.said[0]


def test_a_time_in_the_far_future_protects_nothing(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "store", 10**9)
    filled(store, keys(10), vectors(10, 1000))
    grow_old(shards(store), -100_000)
    small = FeatureStore(store.root, 1000)
    small.evict()
    assert small.size() == 0


def test_temporary_files_of_killed_processes_are_cleared(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "store", 1000)
    space = filled(store, keys(10), vectors(10, 1000))
    assert space.folder is not None
    stale, fresh = space.folder / ".x.shard.1.ab.part", space.folder / ".y.shard.2.cd.part"
    stale.write_bytes(b"half")
    fresh.write_bytes(b"half")
    grow_old([stale])
    store.evict()
    assert (stale.exists(), fresh.exists()) == (False, True)


def test_a_temporary_file_that_cannot_be_deleted_is_left_and_room_is_made_all_the_same(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "store", 10**9)
    space = filled(store, keys(10), vectors(10, 1000))
    assert space.folder is not None
    others = space.folder / ".x.shard.1.ab.part"
    others.mkdir()  # refused to everyone, as another user's file in a shared cache is to all but its owner
    grow_old([others, *shards(store)])
    small = FeatureStore(store.root, 1000)
    small.evict()
    assert small.size() == 0
    assert others.exists()


def read_back(store: FeatureStore, heard: Sentences) -> Space:
    """Append three shards to a store that cannot be written; all must be there, with one sentence said."""
    names, values = keys(9), vectors(9)
    space = store.space({"weights": "a"}, reporter=heard)
    for start in (0, 3, 6):
        space.append(names[start : start + 3], {"hidden": values[start : start + 3]})
        space.flush()
    assert np.array_equal(space.read(names[::-1])["hidden"], values[::-1])
    assert len(heard.said) == 1
    assert "HEADSTART_CACHE" in heard.said[0]
    return space


@pytest.mark.parametrize("below", ["a_file/store", "/proc/headstart"])
def test_where_no_folder_can_be_made_entries_stay_in_memory(tmp_path: Path, below: str) -> None:
    (tmp_path / "a_file").write_text("no folder")
    read_back(FeatureStore(tmp_path / below), Sentences())


@pytest.fixture
def little_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB of its own, or a skip where none may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_leaves_no_half_file_and_loses_nothing(little_disk: Path) -> None:
    (little_disk / "filler").write_bytes(b"x" * 900_000)
    names, values, heard = keys(60), vectors(60, 1000), Sentences()
    space = FeatureStore(little_disk / "store", 10**9).space({"weights": "a"}, reporter=heard)
    for start in range(0, 60, 10):
        space.append(names[start : start + 10], {"hidden": values[start : start + 10]})
        space.flush()
    assert np.array_equal(space.read(names)["hidden"], values)
    assert len(heard.said) == 1
    assert "No space left" in heard.said[0]
    assert not list(little_disk.rglob("*.part"))
    again = FeatureStore(little_disk / "store", 10**9).space({"weights": "a"})
    found = again.lookup(names).found
    assert 0 < found.sum() < 60
    assert np.array_equal(again.read([n for n, f in zip(names, found) if f])["hidden"], values[found])


def test_a_disk_that_becomes_read_only_half_way(little_disk: Path) -> None:
    names, values, heard = keys(20), vectors(20), Sentences()
    store = FeatureStore(little_disk / "store", 10**9)
    space = store.space({"weights": "a"}, reporter=heard)
    space.append(names[:10], {"hidden": values[:10]})
    space.flush()
    subprocess.run(["mount", "-o", "remount,ro", str(little_disk)], check=True)
    space.append(names[10:], {"hidden": values[10:]})
    space.flush()
    assert np.array_equal(space.read(names)["hidden"], values)
    assert len(heard.said) == 1
    assert "Read-only" in heard.said[0]


def test_a_limit_of_zero_keeps_everything_in_memory(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "store", 0)
    space = filled(store, keys(5), vectors(5))
    assert np.array_equal(space.read(keys(5))["hidden"], vectors(5))
    assert not store.root.exists()


def test_many_entries_of_several_shards_come_back_in_any_order(store: FeatureStore) -> None:
    names = [hash_bytes(str(number).encode()) for number in range(6000)]
    values = np.random.default_rng(0).standard_normal((6000, 3), dtype=np.float32)
    space = store.space({})
    for start in range(0, 6000, 2000):
        space.append(names[start : start + 2000], {"hidden": values[start : start + 2000]})
        space.flush()
    order = np.random.default_rng(1).permutation(6000)
    found = FeatureStore(store.root, 10**9).space({}).read([names[row] for row in order])
    assert np.array_equal(found["hidden"], values[order])
