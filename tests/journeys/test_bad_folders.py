"""Damaged and foreign run folders, a damaged store, caches that cannot be written, and disks that are full."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_data import OFFLINE, own_copy, picture

import headstart
from headstart.kernel.errors import HeadstartError, RunError
from spoilt_disks import mounted, read_only

Command = Callable[..., Any]
FIT = (*OFFLINE, "--no-scratch")


@pytest.fixture
def run(photo_run: Path, here: Path) -> Path:
    """A finished run that the test may spoil."""
    return own_copy(photo_run, here / "run")


@pytest.fixture
def own_cache(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of the test's own."""
    monkeypatch.setenv("HEADSTART_CACHE", str(here / "cache"))
    return here / "cache"


def flip(path: Path, at: float = 0.5) -> None:
    """Turn one bit of a file around."""
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] ^= 1
    path.write_bytes(content)


def passed(folder: str) -> tuple[int, int]:
    """(computed, reused) in the frozen pass of a run."""
    found = headstart.load(folder).record.frozen_pass
    return found.computed, found.reused


# --- run folders ---


def test_a_foreign_folder_is_no_run_and_stays_as_it_is(
    here: Path, photos: Path, photo_run: Path, headstart_command: Command
) -> None:
    Path("mine").mkdir()
    Path("mine/thesis.tex").write_text("years of work")
    for line in (["predict", "mine", photos], ["evaluate", "mine"], ["report", "mine"]):
        ended = headstart_command(*line)
        assert ended.code == RunError.exit_code
        assert "mine has no record.json: it is not a run folder" in ended.err
    for more in ([], ["--overwrite"]):
        ended = headstart_command("fit", photos, *FIT, "--out", "mine", *more)
        assert ended.code == RunError.exit_code
        assert "mine holds something that is not a run. Give another --out." in ended.err
    assert [path.name for path in Path("mine").iterdir()] == ["thesis.tex"]


def test_a_finished_run_is_not_replaced_unasked(run: Path, photos: Path, headstart_command: Command) -> None:
    before = (run / "record.json").read_bytes()
    ended = headstart_command("fit", photos, *FIT, "--out", run)
    assert ended.code == RunError.exit_code
    assert "holds a run already. Give another --out, or --overwrite to replace it." in ended.err
    failed = headstart_command("fit", photos, "--backbone", "resnet5", "--out", run, "--overwrite")
    assert failed.code == 4
    assert (run / "record.json").read_bytes() == before, "what --overwrite replaces goes only when its successor begins"
    assert headstart_command("fit", photos, *FIT, "--out", run, "--overwrite", "--seed", "1").code == 0
    assert headstart.load(run).record.seed == 1


def test_an_unfinished_run(here: Path, run: Path, photos: Path) -> None:
    (run / "record.json").unlink()
    with pytest.raises(RunError, match="the run was not finished: give the same fit again to resume it"):
        headstart.predict(run, photos)
    with pytest.raises(RunError, match=r"an unfinished run of another request\. Give another --out, or --overwrite"):
        headstart.fit(photos, out=run, seed=7)


@pytest.mark.parametrize("content", [b"", b'{"format": 1', b"[]", b"\xff\xfe\x00"])
def test_a_damaged_record(run: Path, content: bytes, headstart_command: Command) -> None:
    (run / "record.json").write_bytes(content)
    ended = headstart_command("report", run)
    assert ended.code == RunError.exit_code
    assert "record.json" in ended.err


def test_a_record_of_a_newer_headstart(run: Path, headstart_command: Command) -> None:
    record = json.loads((run / "record.json").read_text())
    (run / "record.json").write_text(json.dumps({**record, "format": 99, "headstart": "9.9"}))
    ended = headstart_command("report", run)
    assert ended.code == RunError.exit_code
    assert "written by Headstart 9.9 in format 99" in ended.err and "Install Headstart 9.9 or newer" in ended.err


@pytest.mark.parametrize("content", [b"", b'{"format": 1', b'{"format": 1}', b"[]"])
def test_a_damaged_description_of_the_model(
    run: Path, photos: Path, content: bytes, headstart_command: Command
) -> None:
    (run / "model" / "model.json").write_bytes(content)
    ended = headstart_command("predict", run, photos)
    assert ended.code == RunError.exit_code
    assert "model.json" in ended.err


def test_a_model_of_a_newer_headstart(run: Path, photos: Path) -> None:
    path = run / "model" / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.raises(RunError, match=r"has format 99; this Headstart reads up to \d+"):
        headstart.predict(run, photos)


def test_one_flipped_bit_in_the_weights(run: Path, photos: Path, headstart_command: Command) -> None:
    flip(run / "model" / "model.safetensors")
    ended = headstart_command("predict", run, photos)
    assert ended.code == RunError.exit_code
    assert "model.safetensors is damaged: its content does not match the hash in model.json" in ended.err
    again = headstart_command("fit", photos, "--backbone", run, "--no-scratch", "--out", "next")
    assert again.code == RunError.exit_code
    assert not Path("next").exists()


@pytest.mark.parametrize("name", ["model/model.safetensors", "model/model.json", "split.csv", "plan.toml"])
def test_a_file_of_a_run_that_is_gone(run: Path, name: str) -> None:
    (run / name).unlink()
    with pytest.raises(HeadstartError, match=Path(name).name):
        headstart.evaluate(run)


# --- the store and the cache ---


@pytest.mark.parametrize("at", [0.02, 0.5, 0.99])
def test_a_damaged_shard_is_told_of_and_computed_again(
    at: float, own_cache: Path, photos: Path, headstart_command: Command
) -> None:
    assert headstart_command("fit", photos, *FIT, "--out", "first").code == 0
    (shard,) = own_cache.rglob("*.shard")
    flip(shard, at)
    ended = headstart_command("fit", photos, *FIT, "--out", "second")
    assert ended.code == 0
    assert "are damaged" in ended.err and "computed again" in ended.err
    assert passed("first") == passed("second") == (40, 0)
    assert headstart.load("second").metrics == headstart.load("first").metrics
    assert headstart_command("fit", photos, *FIT, "--out", "third").code == 0
    assert passed("third") == (0, 40)


def test_a_corrected_label_and_a_new_file_reuse_the_rest(own_cache: Path, photos: Path, here: Path) -> None:
    mine = own_copy(photos, here / "photos")
    small = {"backbone": "test_resnet", "weights": "random", "settings": {"backbone": {"image_size": 32}}}
    headstart.fit(mine, **small, scratch=False, out="first")
    (mine / "dark" / "000.png").rename(mine / "light" / "was-dark.png")
    picture(70, np.random.default_rng(9)).save(mine / "dark" / "new.png")
    headstart.fit(mine, **small, scratch=False, out="second")
    assert passed("second") == (1, 40)


@pytest.mark.parametrize("folder", ["file/cache", "/proc/nobody/.cache"])
def test_a_cache_that_cannot_be_written(
    folder: str, here: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, headstart_command: Command
) -> None:
    Path("file").write_text("in the way")
    monkeypatch.setenv("HEADSTART_CACHE", str(here / folder))
    ended = headstart_command("fit", photos, *FIT, "--out", "mine")
    assert ended.code == 0, ended.err
    assert "The feature store cannot be written" in ended.err
    assert "HEADSTART_CACHE names another folder" in ended.err
    assert passed("mine") == (40, 0)


def test_a_read_only_cache_is_read(own_cache: Path, photos: Path, here: Path, headstart_command: Command) -> None:
    assert headstart_command("fit", photos, *FIT, "--out", "first").code == 0
    with read_only(own_cache):
        ended = headstart_command("fit", photos, *FIT, "--out", "second")
        other = headstart_command("fit", photos, *FIT, "--set", "backbone.image_size=16", "--out", "third")
    assert ended.code == other.code == 0, ended.err + other.err
    assert passed("second") == (0, 40)
    assert "The feature store cannot be written" in other.err
    assert passed("third") == (40, 0)


@pytest.fixture
def tiny_disk(here: Path) -> Iterator[Path]:
    """A disk of its own with 64 kB."""
    disk = here / "disk"
    disk.mkdir()
    with mounted(disk, "-t", "tmpfs", "-o", "size=64k", "headstart-test"):
        yield disk


def test_a_full_disk_below_the_cache(
    tiny_disk: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, headstart_command: Command
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tiny_disk / "cache"))
    fill(tiny_disk)
    ended = headstart_command("fit", photos, *FIT, "--out", "mine")
    assert ended.code == 0, ended.err
    assert "The feature store cannot be written" in ended.err and os.strerror(errno.ENOSPC) in ended.err
    assert passed("mine") == (40, 0)
    assert not list(tiny_disk.rglob("*.part"))


def test_a_full_disk_below_the_run_folder(tiny_disk: Path, photos: Path, headstart_command: Command) -> None:
    ended = headstart_command("fit", photos, *FIT, "--out", tiny_disk / "mine")
    assert ended.code == HeadstartError.exit_code
    assert f"model.safetensors: {os.strerror(errno.ENOSPC)}" in ended.err
    assert not list(tiny_disk.iterdir()), "what cannot be finished does not take the room"
    assert headstart_command("fit", photos, *FIT, "--out", "mine").code == 0


def test_a_full_disk_below_the_predictions(
    tiny_disk: Path, photos: Path, photo_run: Path, headstart_command: Command
) -> None:
    (tiny_disk / "answers.csv").write_text("origin,prediction,error\n")
    fill(tiny_disk)
    ended = headstart_command("predict", photo_run, photos, "--out", tiny_disk / "answers.csv")
    assert ended.code == HeadstartError.exit_code
    assert "answers.csv" in ended.err and os.strerror(errno.ENOSPC) in ended.err
    assert (tiny_disk / "answers.csv").read_text() == "origin,prediction,error\n"
    assert not list(tiny_disk.rglob("*.part"))


def fill(disk: Path) -> None:
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)), open(disk / "filling", "wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass


@contextmanager
def no_room(part: str) -> Iterator[None]:
    """Every file with this in its path finds the disk full; for systems on which nothing can be mounted."""
    original = Path.write_bytes

    def write_bytes(path: Path, content: bytes) -> int:
        if part in path.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return original(path, content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "write_bytes", write_bytes)
        yield


def test_no_room_for_features(own_cache: Path, photos: Path, headstart_command: Command) -> None:
    with no_room(".shard"):
        ended = headstart_command("fit", photos, *FIT, "--out", "mine")
    assert ended.code == 0, ended.err
    assert "The feature store cannot be written" in ended.err
    assert passed("mine") == (40, 0)


@pytest.mark.parametrize("name", ["plan.toml", "checkpoint", "model.safetensors", "split.csv", "record.json"])
def test_no_room_for_the_run_and_then_the_same_command(
    name: str, numbers_csv: Path, headstart_command: Command
) -> None:
    line = ("fit", numbers_csv, "--tuning", "full", "--set", "tuning.epochs=1", "--out", "mine")
    with no_room(name):
        ended = headstart_command(*line)
    assert ended.code == HeadstartError.exit_code
    assert name in ended.err and os.strerror(errno.ENOSPC) in ended.err
    with pytest.raises(RunError):
        headstart.load("mine")
    assert headstart_command(*line).code == 0
    assert headstart.load("mine").metrics["test"]["r2"]["n"] == 16


def test_no_room_for_the_report_alone(numbers_csv: Path, headstart_command: Command) -> None:
    with no_room("report.html"):
        assert headstart_command("fit", numbers_csv, "--out", "mine").code == HeadstartError.exit_code
    assert headstart.load("mine").metrics["test"]["r2"]["n"] == 16
    assert headstart_command("report", "mine").code == 0
    assert "R²" in Path("mine/report.html").read_text(encoding="utf-8")
