"""The cache: shown, cleared, limited; and nothing of anybody else's is touched."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from headstart.cli.cache_printing import print_cache
from headstart.engine.frozen.disk_cache import DiskCache
from headstart.engine.store.feature_store import FeatureStore
from headstart.kernel.errors import HeadstartError, SettingsError, StoreError
from headstart.kernel.files import hash_bytes, write_json
from headstart.pipeline.cache_contents import Cache
from headstart.verbs.cache import cache

KEY = {
    "weights": "w",
    "stop": "layer3",
    "keep": "pooled",
    "taps": ["layer1.pooled", "layer2.pooled", "layer3.pooled"],
    "runner": {"plugin": "openvino", "settings": {}},
    "precision": "bfloat16",
    "view_seed": None,
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder of each test, not made yet."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HEADSTART_CACHE_LIMIT", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path / "cache"


def fill(of: str = "resnet18", *, examples: int = 10, age: float = 0, **key: object) -> Path:
    """Store features; the folder of their space, last used so many seconds ago."""
    space = FeatureStore(limit=10**9).space({**KEY, **key}, of=of)
    names = [hash_bytes(str(i).encode()) for i in range(examples)]
    space.append(names, {"hidden": np.zeros((examples, 1000), np.float32)})
    space.flush()
    assert space.folder is not None
    for shard in space.folder.glob("*.shard"):
        os.utime(shard, (time.time() - age, time.time() - age))
    return space.folder


def fill_other_parts(folder: Path) -> None:
    DiskCache("file-hashes-1").put({b"a": b"b"})
    write_json(folder / "boundaries" / f"{'0a' * 16}.json", [])
    (folder / "graphs" / ("1b" * 16)).mkdir(parents=True)
    (folder / "graphs" / ("1b" * 16) / "model.bin").write_bytes(b"x" * 5000)


def printed(found: Cache, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    print_cache(found)
    return "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines())


# --- shown ---


def test_what_is_stored_is_told_last_used_first(folder: Path) -> None:
    fill("resnet18", age=7200)
    fill("mobilenet", examples=5, age=60, keep="state", taps=[], view_seed=3)
    found = cache()
    assert [one.backbone for one in found.stored] == ["mobilenet", "resnet18"]
    assert [one.examples for one in found.stored] == [5, 10]
    assert found.stored[0].purpose == "the state at layer3, augmented view 3; openvino, bfloat16"
    assert found.stored[1].purpose == "pooled features at layer3; openvino, bfloat16"
    assert time.time() - found.stored[1].last_used == pytest.approx(7200, abs=60)
    assert found.features == sum(one.bytes for one in found.stored) > 60_000
    assert (found.limit_origin, found.freed, found.notes) == ("default", None, ())


def test_the_other_parts_are_told_with_their_size(folder: Path) -> None:
    fill_other_parts(folder)
    found = cache()
    sizes = {part.name: part.bytes for part in found.parts}
    assert sizes.keys() == {"memo", "boundaries", "graphs"}
    assert sizes["graphs"] == 5000
    assert found.bytes == sum(sizes.values())
    assert found.features == 0


def test_a_cache_that_does_not_exist_is_told_and_not_made(folder: Path) -> None:
    found = cache()
    assert found.notes == (f"{folder} does not exist: nothing has been kept yet.",)
    assert found.bytes == 0
    assert not folder.exists()


def test_a_cache_that_is_a_file_is_refused(folder: Path) -> None:
    folder.write_text("no folder")
    with pytest.raises(StoreError, match="HEADSTART_CACHE names another folder"):
        cache()


def test_damage_is_shown_and_stops_nothing(folder: Path) -> None:
    space = fill()
    (space / "cut.shard").write_bytes(b"HSSHARD1")
    (space / "claim of another process").write_text("x")
    (fill("mobilenet", weights="m") / "space.json").write_text('{"of": 3}')
    by_name = {one.backbone: one for one in cache().stored}
    assert by_name.keys() == {"resnet18", ""}
    assert (by_name["resnet18"].damaged, by_name["resnet18"].examples) == (1, 10)
    assert "what it holds cannot be read" in by_name[""].purpose
    assert by_name[""].examples == 10


@pytest.mark.slow
def test_to_look_needs_no_torch() -> None:
    program = "import headstart, sys; headstart.cache(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout == "False\n"


# --- cleared ---


def test_clear_deletes_every_part_and_says_how_much(folder: Path) -> None:
    fill()
    fill("mobilenet", age=7200)
    fill_other_parts(folder)
    before = cache().bytes
    found = cache(clear=True)
    assert found.freed == before > 80_000
    assert (found.bytes, found.stored, found.parts) == (0, (), ())
    assert list(folder.iterdir()) == []


def test_clear_leaves_everything_that_is_not_headstarts(folder: Path) -> None:
    fill_other_parts(folder)
    space = fill()
    foreign = [
        "thesis.tex",
        "photos/1.jpg",
        "memo/to all.txt",
        "memo/mine.sqlite",
        "boundaries/germany.json",
        "graphs/sales.png",
        "features/list.txt",
        f"features/{'cd' * 16}/years of work.txt",
    ]
    for name in foreign:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("mine")
    found = cache(clear=True)
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()) == sorted(foreign)
    assert not space.exists()
    assert found.bytes == 0


def test_clear_deletes_a_link_and_not_what_it_leads_to(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    fill().rename(elsewhere)
    link = folder / "features" / ("ef" * 16)
    link.symlink_to(elsewhere)
    cache(clear=True)
    assert not link.exists()
    assert list(elsewhere.glob("*.shard"))


def test_clear_keeps_the_limit(folder: Path) -> None:
    cache(limit="3GB")
    fill()
    assert (cache(clear=True).limit, cache().limit_origin) == (3 * 10**9, "kept")


@pytest.fixture
def read_only_cache(folder: Path) -> Iterator[Path]:
    """A cache with features on a disk that has become read-only, or a skip where none may be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a disk")
    fill(age=7200)
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_read_only_cache_is_shown_and_says_why_it_cannot_change(read_only_cache: Path) -> None:
    assert cache().stored[0].examples == 10
    with pytest.raises(
        HeadstartError, match=rf"cannot delete {read_only_cache}/features/\w+: Read-only file system. 0 B of"
    ):
        cache(clear=True)
    with pytest.raises(HeadstartError, match="Read-only file system"):
        cache(limit="1KB")
    assert cache().stored[0].examples == 10


# --- limited ---


def test_a_limit_evicts_the_least_recently_used_and_holds_from_then_on(folder: Path) -> None:
    fill("old", age=9000, weights="a")
    fill("older", age=99_000, weights="b")
    found = cache(limit="50KB")
    assert [one.backbone for one in found.stored] == ["old"]
    assert found.freed is not None and found.freed > 40_000
    assert (found.limit, found.limit_origin, found.notes) == (50_000, "kept", ())
    assert FeatureStore().limit == 50_000
    assert cache(limit="default").limit_origin == "default"


def test_what_may_be_in_use_stays_and_the_answer_says_so(folder: Path) -> None:
    fill("fresh")
    found = cache(limit=1000)
    assert [one.backbone for one in found.stored] == ["fresh"]
    assert found.freed == 0
    (note,) = found.notes
    assert "used within the last ten minutes, so a process may be using them" in note


def test_the_environment_comes_before_a_kept_limit_and_the_answer_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(age=9000)
    monkeypatch.setenv("HEADSTART_CACHE_LIMIT", "1GB")
    found = cache(limit="1KB")
    assert (found.features, found.limit, found.limit_origin) == (0, 10**9, "environment")
    assert found.notes == ("HEADSTART_CACHE_LIMIT is set and comes before a limit that is kept.",)


@pytest.mark.parametrize("limit", ["much", "-5GB", -5])
def test_a_limit_that_is_no_size_changes_nothing(folder: Path, limit: str | int) -> None:
    fill(age=9000)
    with pytest.raises(SettingsError, match="is not a size"):
        cache(limit=limit)
    assert (cache().stored[0].examples, cache().limit_origin) == (10, "default")


def test_an_environment_that_names_no_size_is_found_before_anything_is_deleted(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(age=9000)
    monkeypatch.setenv("HEADSTART_CACHE_LIMIT", "plenty")
    with pytest.raises(SettingsError, match="HEADSTART_CACHE_LIMIT: 'plenty' is not a size"):
        cache(clear=True)
    monkeypatch.delenv("HEADSTART_CACHE_LIMIT")
    assert cache().stored


def test_clear_and_limit_together_are_refused(folder: Path) -> None:
    fill()
    with pytest.raises(SettingsError, match="--clear and --limit exclude each other"):
        cache(clear=True, limit="5GB")
    assert cache().stored


# --- printed ---


def test_the_cache_as_people_read_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill("resnet18", age=7200)
    long = fill("a_backbone_with_a_name_that_is_long", age=90_000, keep="state", taps=[])
    (long / "b.shard").write_bytes(b"")
    os.utime(long / "b.shard", (0, 0))
    fill_other_parts(folder)
    text = printed(cache(), capsys)
    lines = text.splitlines()
    assert lines[0].startswith(f"Cache:     {folder}, ")
    assert lines[1] == "Features:  80.9 kB"
    assert says_the_default(lines[2])
    assert "resnet18                                    10  40.4 kB  2 hours ago" in lines
    assert "  pooled features at layer3; openvino, bfloat16" in lines
    assert "a_backbone_with_a_name_that_is_long         10  40.4 kB  1 day ago" in lines
    assert "1 file is damaged and will be computed again" in " ".join(text.split())
    assert any(line.split() == ["graphs", "5.00", "kB", "compiled", "graphs"] for line in lines)
    assert all(len(line) <= 80 for line in lines[1:])


def says_the_default(line: str) -> bool:
    return line.startswith("Limit:     ") and line.endswith("(the default: a tenth of the free disk, at most 20 GB)")


def test_what_was_freed_comes_first_and_what_to_know_last(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill()
    lines = printed(cache(limit=0), capsys).splitlines()
    assert lines[0] == "Freed:     0 B"
    assert "Limit:     0 B (kept by --limit): none are stored" in lines
    assert "may be using them" in " ".join(" ".join(lines).split())
