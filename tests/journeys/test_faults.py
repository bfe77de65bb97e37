"""What may happen to files, folders and processes while they are worked on, as a user meets it."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_data import OFFLINE, own_copy, photo_folder, picture
from stopped_commands import held_in_the_frozen_pass, until_held

import headstart
from forked_processes import SECONDS, Forked
from headstart.contracts.format import Columns
from headstart.engine.frozen.content_keys import CHANGED, content_keys
from headstart.evidence.splits import split
from headstart.kernel.errors import DataError
from headstart.pipeline.data import read_examples
from headstart.pipeline.embed import embed
from living_processes import LISTED, alive, reading_workers_of

Command = Callable[..., Any]
FIT = (*OFFLINE, "--no-scratch")
SMALL: dict[str, Any] = {
    "backbone": "test_resnet",
    "weights": "random",
    "settings": {"backbone": {"image_size": 32}},
    "scratch": False,
}


@pytest.fixture(autouse=True)
def own_cache(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_CACHE", str(here / "cache"))
    return here / "cache"


@pytest.fixture
def mine(here: Path, photos: Path) -> Path:
    """A copy of the photos that the test may spoil."""
    return own_copy(photos, here / "photos")


# --- files that change while they are worked on ---


def at_the_frozen_pass(monkeypatch: pytest.MonkeyPatch, what: Callable[[], Any]) -> None:
    """Something happens after the data were looked at and before their features are computed."""

    def then(*given: Any, **named: Any) -> Any:
        what()
        return embed(*given, **named)

    monkeypatch.setattr("headstart.pipeline.sequence.embed", then)


def test_files_that_change_or_vanish_during_a_fit_are_named_and_the_fit_goes_on(
    mine: Path, headstart_command: Command
) -> None:
    changed, gone = mine / "dark" / "003.png", mine / "light" / "004.png"

    def spoil() -> None:
        picture(200, np.random.default_rng(77)).save(changed)
        gone.unlink()

    with pytest.MonkeyPatch.context() as patch:
        at_the_frozen_pass(patch, spoil)
        ended = headstart_command("fit", mine, *FIT, "--out", "mine")
    assert ended.code == 0, ended.err
    assert f"dark/003.png {CHANGED}" in ended.out and "light/004.png is missing" in ended.out
    record = headstart.load("mine").record
    assert {trouble.origin for trouble in record.data.unreadable} == {"dark/003.png", "light/004.png"}
    assert sum(part.examples for part in record.data.parts) == 38
    assert len(pd.read_csv("mine/split.csv")) == 38
    again = headstart.fit(mine, out="again", **SMALL).record
    assert (again.frozen_pass.computed, again.frozen_pass.reused) == (1, 38)
    assert not again.data.unreadable


def test_when_everything_vanishes_the_fit_says_so(
    here: Path, mine: Path, monkeypatch: pytest.MonkeyPatch, headstart_command: Command
) -> None:
    at_the_frozen_pass(monkeypatch, lambda: shutil.rmtree(mine))
    ended = headstart_command("fit", mine, *FIT, "--out", "mine")
    assert ended.code == DataError.exit_code
    assert "the train part is empty" in ended.err and "is missing" in ended.err
    assert not Path("mine").exists()


def test_files_that_change_while_they_are_compared_are_left_out(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from headstart.evidence import image_fingerprints

    original = image_fingerprints.fingerprint
    changed = mine / "dark" / "003.png"
    shutil.copy(changed, mine / "dark" / "copy of 003.png")

    def fingerprint(kind: Any, source: Any) -> Any:
        if source == changed:
            picture(200, np.random.default_rng(77)).save(changed)
        return original(kind, source)

    monkeypatch.setattr(image_fingerprints, "fingerprint", fingerprint)
    found = headstart.inspect(mine)
    assert [(trouble.origin, trouble.reason) for trouble in found.unreadable] == [("dark/003.png", CHANGED)]
    monkeypatch.setattr(image_fingerprints, "fingerprint", original)
    assert not headstart.inspect(mine).unreadable


# --- names ---

ODD = (
    "line\nbreak.png",
    "tab\there.png",
    "quo\"te'.png",
    "-leading.png",
    "[bold]markup.png",
    "é ü 漢字 🐝.png",
    "a,b;c.png",
    "=cmd().png",
    " spaced .png",
    "back\\slash.png",
    "per%20cent.png",
    "bell\x07escape\x1b[31m.png",
    "x" * 246 + ".png",
)


def test_odd_names_are_used_as_they_are_and_do_not_steer_the_terminal(mine: Path, headstart_command: Command) -> None:
    draws = np.random.default_rng(3)
    for name in ODD:
        picture(70, draws).save(mine / "dark" / name)
    (mine / "light" / "bad\n\x1b[31m[bold].png").write_bytes(b"no picture")
    ended = headstart_command("fit", mine, *FIT, "--out", "mine")
    assert ended.code == 0, ended.err
    assert r"- light/bad\n\x1b[31m[bold].png is not an image that Pillow can read" in ended.out
    assert headstart.load("mine").record.data.unreadable[0].origin == "light/bad\n\x1b[31m[bold].png"
    ended = headstart_command("predict", "mine", mine / "dark", "--out", "answers.csv")
    assert ended.code == 0, ended.err
    frame = pd.read_csv("answers.csv", keep_default_na=False)
    assert set(ODD) <= set(frame["origin"])
    assert set(frame["prediction"]) == {"dark"}
    ended = headstart_command("inspect", mine)
    assert ended.code == 0 and "\x1b" not in ended.out and r"bad\n\x1b[31m[bold].png" in ended.out.replace("\n", "")


def test_names_that_are_not_utf8_are_told(mine: Path, photo_run: Path, headstart_command: Command) -> None:
    try:
        shutil.copy(mine / "dark" / "001.png", os.fsencode(mine / "dark") + b"/caf\xe9.png")
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    ended = headstart_command("fit", mine, *FIT, "--out", "mine")
    assert ended.code == 0, ended.err
    assert r"not valid UTF-8: 1, such as dark/caf\xe9.png" in ended.out.replace("\n", " ").replace("  ", " ")
    folder = os.fsdecode(b"caf\xe9")
    shutil.copytree(mine, folder)
    for line in (("fit", folder, *FIT), ("inspect", folder), ("predict", photo_run, folder)):
        ended = headstart_command(*line)
        assert ended.code == DataError.exit_code, ended.err
        assert r"the name caf\xe9 is not valid UTF-8" in ended.err.replace("\\udce9", r"\xe9")
    ended = headstart_command("fit", mine, *FIT, "--out", folder + "/mine")
    assert ended.code != 70 and "is not valid UTF-8" in ended.err
    with pytest.raises(DataError, match="not valid UTF-8"):
        headstart.predict(photo_run, [mine / "dark" / "001.png", folder + "/dark/001.png"])


# --- processes ---


def wait_until(holds: Callable[[], Any]) -> None:
    give_up = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.01)


@pytest.mark.skipif(not LISTED, reason="the children of a process are looked up in /proc")
def test_ctrl_c_in_a_pass_with_worker_processes_leaves_none_and_keeps_what_is_done(
    photos: Path, headstart_command: Command
) -> None:
    line = ("fit", photos, *FIT, "--runner", "eager", "--out", "mine")
    with Forked(held_in_the_frozen_pass, 0, *line, leads=True) as process:
        until_held(process)
        workers = reading_workers_of(process.pid)
        assert workers, "the pictures are read by worker processes"
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C in a terminal: everybody in the group hears it
        assert process.wait() == 130, process.err
        assert "Traceback" not in process.err
    wait_until(lambda: not any(map(alive, workers)))
    ended = headstart_command("fit", photos, *FIT, "--runner", "eager", "--out", "mine", "--json")
    assert ended.code == 0, ended.err
    found = headstart.load("mine").record.frozen_pass
    assert 0 < found.reused < 40 and found.computed == 40 - found.reused
    assert json.loads(ended.out)["test"]["accuracy"]["value"] == 1.0


SCRIPT = """
import os, sys
with open("starts.txt", "a") as file:
    file.write("once ")
import headstart
from headstart.engine.frozen import feeding
feeding.PROCESSES_FROM, feeding.cores = 40, lambda: 1
small = {"backbone": "test_resnet", "weights": "random", "settings": {"backbone": {"image_size": 32}}}
run = headstart.fit(sys.argv[1], **small, runner="eager", scratch=False)
print(run.metrics["test"]["accuracy"]["value"])
"""


def test_a_script_without_a_guard_around_its_main_part_runs_once(here: Path, photos: Path) -> None:
    (here / "script.py").write_text(SCRIPT)
    (here / "json.py").write_text("raise SystemExit('a file of the user, not the library')")
    line = [sys.executable, "-P", "script.py", str(photos)]
    ended = subprocess.run(line, capture_output=True, text=True, timeout=SECONDS)
    assert ended.returncode == 0, ended.stderr
    assert (here / "starts.txt").read_text() == "once "
    assert ended.stdout == "1.0\n"


# --- many files ---

MANY = 20_000


def look(folder: str) -> None:
    """Read, hash and split; print counts, seconds of the processor and megabytes."""

    def memory() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6

    before, began = memory(), time.process_time()
    examples, _ = read_examples(folder, Columns())
    keys = content_keys(examples).keys
    labels = np.unique(examples.target(), return_inverse=True)[1]
    parts = split(labels, clusters=np.arange(len(keys)), keys=keys, names=["dark", "light"], seed=0)
    took, second = time.process_time() - began, time.process_time()
    same = content_keys(examples).keys == keys
    again, count = time.process_time() - second, len(parts.train) + len(parts.val) + len(parts.test)
    print(len(examples), count, took, again, memory() - before, int(same))


def test_tens_of_thousands_of_files_in_one_folder(here: Path) -> None:
    originals = sorted(photo_folder(here / "few").rglob("*.png"))
    for label in ("dark", "light"):
        folder = here / "many" / label
        folder.mkdir(parents=True)
        for number in range(MANY if label == "dark" else 100):
            os.link(originals[number % len(originals)], folder / f"{number}.png")
    for path in originals:
        os.utime(path, (1e9, 1e9))
    with Forked(look, "many") as process:
        assert process.wait() == 0, process.err
        count, split_up, seconds, again, megabytes, same = map(float, process.out.split())
    assert count == split_up == MANY + 100 and same
    assert seconds < 27 and again < 7, f"{seconds:.0f} s and {again:.0f} s"
    assert megabytes < 80, f"{megabytes:.0f} MB"
