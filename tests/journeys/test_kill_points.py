"""A kill at whatever moment a run is written: the same command repairs or finishes it, and a run that stood stands."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_data import OFFLINE
from stopped_commands import (
    another_runner,
    held_in_the_report,
    killed_before_writing,
    killed_where_another_runner_takes,
    killed_while_replacing,
    until_held,
)

import headstart
from forked_processes import Forked
from headstart.kernel.errors import HeadstartError, RunError, TrainingError

Command = Callable[..., Any]
FIT = (*OFFLINE, "--no-scratch", "--out", "mine")
PRETRAIN = (
    *("--backbone", "test_resnet", "--weights", "random", "--set", "backbone.image_size=32", "--out", "mine"),
    *("--set", "training.epochs=1", "--set", "training.batch_size=8"),
)
WRITTEN = (
    "plan.toml test_resamples.npz model.safetensors model.json split.csv test_predictions.csv metrics.json record.json "
    "report.html"
).split()


@pytest.fixture(autouse=True)
def own_cache(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(here / "cache"))


def killed(run: Callable[..., None], *arguments: object) -> None:
    with Forked(run, *arguments) as process:
        assert process.wait() == -signal.SIGKILL, process.err


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_fit_that_was_killed_while_it_wrote_is_ended_by_the_same_command(
    name: str, photos: Path, photo_run: Path, headstart_command: Command
) -> None:
    line = ("fit", photos, *FIT)
    killed(killed_before_writing, name, *line)
    ended = headstart_command(*line, "--json")
    assert ended.code == 0, ended.err
    assert files(Path("mine")) == files(photo_run)
    assert Path("mine/metrics.json").read_bytes() == (photo_run / "metrics.json").read_bytes()
    assert json.loads(ended.out)["report"] == "mine/report.html"
    assert ("lacked only its report" in ended.err) == (name == "report.html")
    assert headstart_command(*line).code == RunError.exit_code


@pytest.mark.parametrize("name", ["record.json", "report.html"])
def test_a_pretraining_that_was_killed_while_it_wrote_is_ended_by_the_same_command(
    name: str, photos: Path, headstart_command: Command
) -> None:
    line = ("pretrain", photos, *PRETRAIN)
    killed(killed_before_writing, name, *line)
    ended = headstart_command(*line)
    assert ended.code == 0, ended.err
    assert headstart.load("mine").report.exists() and not Path("mine/work").exists()
    assert headstart_command(*line).code == RunError.exit_code


@pytest.mark.parametrize("tuning", ["probe", "partial"])
def test_a_run_that_was_killed_goes_on_with_its_runner_on_a_machine_made_busy(
    tuning: str, photos: Path, headstart_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = ("--set", "tuning.epochs=1") if tuning == "partial" else ()
    line = ("fit", photos, *OFFLINE, "--no-scratch", "--tuning", tuning, *recipe, "--out")

    def fit(out: str, seconds: float) -> tuple[bytes, bytes]:
        with monkeypatch.context() as patch:
            another_runner(patch, seconds)
            ended = headstart_command(*line, out)
        assert ended.code == 0 and 'runner = "other"' in Path(out, "plan.toml").read_text(), ended.err
        return Path(out, "model/model.safetensors").read_bytes(), Path(out, "metrics.json").read_bytes()

    killed(killed_where_another_runner_takes, 0.25, "model.safetensors", *line, "mine")
    shutil.rmtree("cache")
    found = fit("mine", 4.0)
    shutil.rmtree("cache")
    assert fit("undisturbed", 0.25) == found
    shutil.rmtree("cache/features")
    assert fit("again", 4.0) == found, "the machine keeps its choice"


def test_a_training_that_was_broken_off_says_so_also_where_only_its_report_is_left(
    photos: Path, headstart_command: Command
) -> None:
    late = ("--set", "tuning.learning_rate=1e30", "--set", "tuning.epochs=8", "--set", "tuning.unfrozen_by=0.9")
    line = ("fit", photos, *FIT, "--tuning", "gradual", *late)
    killed(killed_before_writing, "report.html", *line)
    ended = headstart_command(*line)
    assert ended.code == TrainingError.exit_code and "are kept: mine is a run" in ended.err
    assert headstart.load("mine").report.exists()


@pytest.mark.parametrize("where", ["mine", "mine/seed-1"])
def test_a_series_of_which_a_report_is_missing_is_ended_by_the_same_command(
    where: str, photos: Path, headstart_command: Command
) -> None:
    line = ("fit", photos, *FIT, "--seeds", "2")
    assert headstart_command(*line).code == 0
    whole = files(Path("mine"))
    Path(where, "report.html").unlink()
    if where != "mine":
        for name in ("record.json", "report.html"):
            Path("mine", name).unlink()
    ended = headstart_command(*line)
    assert ended.code == 0, ended.err
    assert files(Path("mine")) == whole and "seed-0, 1 of" not in ended.err


def test_a_report_that_could_not_be_written_is_made_up_for(
    photos: Path, headstart_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("math domain error")

    with monkeypatch.context() as patch:
        patch.setattr("headstart.verbs.fit.report", fail)
        assert headstart_command("fit", photos, *FIT).code == 70
    assert not Path("mine/report.html").exists()
    ended = headstart_command("fit", photos, *FIT)
    assert ended.code == 0, ended.err
    assert Path("mine/report.html").exists()


def test_without_a_name_the_run_that_lacks_its_report_is_found(photos: Path, headstart_command: Command) -> None:
    line = ("fit", photos, *OFFLINE, "--no-scratch")
    assert headstart_command(*line).code == 0
    Path("runs/photos/report.html").unlink()
    assert headstart_command(*line).code == 0
    assert [path.name for path in Path("runs").iterdir()] == ["photos"]
    assert Path("runs/photos/report.html").exists()


# --- a run that is to be replaced ---


@pytest.fixture
def old(photos: Path, headstart_command: Command) -> Path:
    """A finished run of another seed."""
    assert headstart_command("fit", photos, *FIT, "--seed", "7").code == 0
    return Path("mine")


@pytest.mark.parametrize("name", ["model.json", "record.json", "report.html"])
def test_a_run_stands_until_the_one_that_replaces_it_is_whole(
    name: str, old: Path, photos: Path, headstart_command: Command
) -> None:
    before = (old / "report.html").read_bytes()
    line = ("fit", photos, *FIT, "--overwrite")
    killed(killed_before_writing, name, *line)
    assert headstart.load(old).record.seed == 7
    assert (old / "report.html").read_bytes() == before
    assert headstart_command(*line[:-1]).code == RunError.exit_code
    ended = headstart_command(*line)
    assert ended.code == 0, ended.err
    record = headstart.load(old).record
    assert (record.seed, record.name) == (0, "mine")
    assert [path.name for path in old.parent.iterdir() if "mine" in path.name] == ["mine"]


@pytest.mark.parametrize("number", [0, 1])
def test_a_kill_between_the_renames_is_mended_by_the_next_command(
    number: int, old: Path, photos: Path, headstart_command: Command
) -> None:
    line = ("fit", photos, *FIT, "--overwrite")
    killed(killed_while_replacing, number, *line)
    assert headstart_command("evaluate", "mine", photos).code == 0
    assert headstart.load("mine").record.seed == (7, 0)[number]
    assert headstart_command(*line).code == 0
    assert headstart.load("mine").record.seed == 0
    assert [path.name for path in old.parent.iterdir() if "mine" in path.name] == ["mine"]


def test_a_training_that_fails_leaves_the_old_run(
    old: Path, photos: Path, headstart_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise TrainingError("the loss became nan")

    before = files(old)
    monkeypatch.setattr("headstart.verbs.fit.train_arms", fail)
    assert headstart_command("fit", photos, *FIT, "--overwrite").code == TrainingError.exit_code
    assert files(old) == before and headstart.load(old).record.seed == 7
    assert [path.name for path in old.parent.iterdir() if "mine" in path.name] == ["mine"]


def test_a_series_replaces_a_run_when_it_is_whole(
    old: Path, photos: Path, headstart_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise HeadstartError("the disk is full")

    line = ("fit", photos, *FIT, "--seeds", "2", "--overwrite")
    with monkeypatch.context() as patch:
        patch.setattr("headstart.pipeline.seeds.sum_up", fail)
        assert headstart_command(*line).code == HeadstartError.exit_code
    assert headstart.load(old).record.seed == 7 and not headstart.load(old).record.runs
    ended = headstart_command(*line)
    assert ended.code == 0, ended.err
    assert "mine/seed-0 is there already" in ended.err and "headstart-new" not in ended.err + ended.out
    assert headstart.load(old).record.runs == ("seed-0", "seed-1")
    assert headstart.load("mine/seed-1").record.seed == 1


def test_a_pretraining_replaces_a_run_when_it_is_whole(old: Path, photos: Path, headstart_command: Command) -> None:
    line = ("pretrain", photos, *PRETRAIN, "--overwrite")
    killed(killed_before_writing, "report.html", *line)
    assert headstart.load(old).record.name == "mine"
    ended = headstart_command(*line)
    assert ended.code == 0, ended.err
    assert headstart.load(old).record.objective


@pytest.mark.parametrize("verb", ["fit", "pretrain"])
def test_the_second_of_two_commands_with_one_out_is_refused(
    verb: str, photos: Path, headstart_command: Command
) -> None:
    line = (verb, photos, *(FIT if verb == "fit" else PRETRAIN))
    with Forked(held_in_the_report, *line) as first:
        until_held(first)
        for more in ((), ("--overwrite",), ("--seed", "3", "--overwrite")):
            second = headstart_command(*line, *more)
            assert second.code == RunError.exit_code
            assert "mine is being written by another process" in second.err
        first.send(signal.SIGKILL)
        first.wait()
    ended = headstart_command(*line)
    assert ended.code == 0, ended.err
