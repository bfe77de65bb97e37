"""A fit by torchrun: the processes share the frozen pass, and one of them makes the run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from small_data import OFFLINE

import headstart

TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def launched(*line: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*TORCHRUN, *map(str, line)], capture_output=True, text=True, timeout=300)


@pytest.fixture(autouse=True)
def own_cache(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(here / "cache"))


def test_torchrun_makes_one_run_and_answers_once(here: Path, photos: Path) -> None:
    ended = launched("-m", "headstart", "fit", photos, *OFFLINE, "--no-scratch", "--json")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["run"] == "runs/photos"
    assert [path.name for path in (here / "runs").iterdir()] == ["photos"]
    assert headstart.load("runs/photos").metrics["test"]["accuracy"]["value"] == 1.0
    assert ended.stderr.count("features from") <= 1


def test_a_script_goes_on_in_one_process(here: Path, photos: Path) -> None:
    (here / "script.py").write_text(
        "import sys, headstart\n"
        "settings = {'backbone': {'image_size': 32}}\n"
        "run = headstart.fit(sys.argv[1], backbone='test_resnet', weights='random', settings=settings, scratch=False)\n"
        "print(run.folder)\n"
    )
    ended = launched("script.py", photos)
    assert (ended.returncode, ended.stdout) == (0, "runs/photos\n"), ended.stderr


def test_when_the_first_process_fails_all_end(here: Path, photos: Path) -> None:
    (here / "taken").mkdir()
    (here / "taken" / "letter.txt").write_text("mine")
    ended = launched("-m", "headstart", "fit", photos, *OFFLINE, "--out", "taken")
    assert ended.returncode != 0
    assert ended.stderr.count("Error: taken holds something that is no run") == 1


def test_other_processes_leave_no_run(here: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    settings = {"backbone": {"image_size": 32}}
    with pytest.raises(SystemExit) as ended:
        headstart.fit(photos, backbone="test_resnet", weights="random", settings=settings, scratch=False)
    assert ended.value.code == 0
    assert not (here / "runs").exists()
    assert list((here / "cache").rglob("*.shard"))
