"""A fit by a launcher such as torchrun: the processes share the work, and one of them makes the run."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_data import OFFLINE
from stopped_commands import command

import headstart
from forked_processes import SECONDS, launched

TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


@pytest.fixture(autouse=True)
def own_cache(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(here / "cache"))


def test_torchrun_comes_to_the_weights_of_one_process_makes_one_run_and_answers_once(here: Path, photos: Path) -> None:
    flags = (*OFFLINE, "--tuning", "partial", "--set", "tuning.epochs=2", "--set", "tuning.precision=float32")
    quick = ("--runner", "eager", "--no-scratch")
    line = [*TORCHRUN, "-m", "headstart", "fit", str(photos), *flags, *quick, "--json"]
    ended = subprocess.run(line, capture_output=True, text=True, timeout=SECONDS)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["run"] == "runs/photos"
    assert [path.name for path in (here / "runs").iterdir()] == ["photos"]
    run = headstart.load("runs/photos")
    assert run.metrics["test"].keys() == found["test"].keys()
    assert len(run.record.arms["model"].history) == 2
    assert ended.stderr.count("features from") <= 1
    alone = headstart.fit(
        photos,
        backbone="test_resnet",
        weights="random",
        tuning="partial",
        runner="eager",
        scratch=False,
        settings={"backbone": {"image_size": 32}, "tuning": {"epochs": 2, "precision": "float32"}},
        out="alone",
    )
    both, one = (load_file(folder / "model" / "model.safetensors") for folder in (run.folder, alone.folder))
    torch.testing.assert_close(both, one, atol=1e-4, rtol=0)


def test_processes_that_find_a_run_without_its_report_complete_it_and_end(here: Path, photos: Path) -> None:
    flags = (*OFFLINE, "--tuning", "partial", "--set", "tuning.epochs=1", "--no-scratch", "--runner", "eager")
    line = ("fit", photos, *flags, "--out", "mine")
    for _ in range(2):
        with launched(command, *line) as processes:
            assert [process.wait() for process in processes] == [0, 0], processes[0].err + processes[1].err
        assert (here / "mine" / "report.html").exists()
        (here / "mine" / "report.html").unlink()


def script(*line: str) -> None:
    """What `python LINE` does."""
    sys.argv = list(line)
    runpy.run_path(line[0], run_name="__main__")


def test_a_script_goes_on_in_one_process(here: Path, photos: Path) -> None:
    (here / "script.py").write_text(
        "import sys, headstart\n"
        "settings = {'backbone': {'image_size': 32}}\n"
        "run = headstart.fit(sys.argv[1], backbone='test_resnet', weights='random', settings=settings, scratch=False)\n"
        "print(run.folder)\n"
    )
    with launched(script, "script.py", str(photos)) as (first, second):
        assert (first.wait(), second.wait()) == (0, 0), first.err + second.err
        assert (first.out, second.out) == ("runs/photos\n", "")
    assert headstart.load("runs/photos").metrics["test"]["accuracy"]["value"] == 1.0


def test_when_the_first_process_fails_it_alone_says_why_and_the_launcher_hears_of_it(here: Path, photos: Path) -> None:
    (here / "taken").mkdir()
    (here / "taken" / "letter.txt").write_text("mine")
    with launched(command, "fit", photos, *OFFLINE, "--out", "taken") as (first, second):
        assert first.wait() not in (0, 70)
        assert first.err.count("Error: taken holds something that is not a run") == 1
        assert "taken" not in second.err


def test_other_processes_leave_no_run(here: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    settings = {"backbone": {"image_size": 32}}
    with pytest.raises(SystemExit) as ended:
        headstart.fit(photos, backbone="test_resnet", weights="random", settings=settings, scratch=False)
    assert ended.value.code == 0
    assert not (here / "runs").exists()
    assert list((here / "cache").rglob("*.shard"))
