"""Learning without labels as a user does: pretrain, look, use it, kill it, give it a time, start two processes."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_data import OFFLINE, photo_folder, reviews
from stopped_commands import command, held_in_training, stopped

import headstart
from forked_processes import launched
from headstart.engine.training.loop import Loop
from headstart.engine.training.validator import Validated
from headstart.kernel.errors import RunError

Command = Callable[..., Any]

SHORT = ("--set", "training.batch_size=8", "--set", "training.epochs=2")
FLAGS = (*OFFLINE, *SHORT)


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures in folders, one of which cannot be read, and a file that is not a picture."""
    folder = photo_folder(tmp_path_factory.mktemp("data") / "scans", {"dark": 24, "light": 24})
    (folder / "dark" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nxx")
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture(scope="module")
def pretrained(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished pretraining that was judged on the same pictures' folders."""
    out = tmp_path_factory.mktemp("runs") / "scans"
    run = headstart.pretrain(
        scans,
        out=out,
        backbone="test_resnet",
        weights="random",
        labelled=scans,
        settings={"backbone": {"image_size": 32}, "training": {"batch_size": 8, "epochs": 2}},
    )
    return run.folder


def test_the_run_tells_what_was_learnt_and_leaves_no_checkpoint(pretrained: Path) -> None:
    run = headstart.load(pretrained)
    record = json.loads((pretrained / "record.json").read_text())
    assert run.verdict.startswith("Trained on 33 inputs without labels with simclr for 2 epochs.")
    assert record["data"]["unreadable"][0]["origin"] == "dark/broken.png"
    assert "they are not used" in record["data"]["notes"][0]
    assert "1 file other than images left out (1 .txt)" in record["data"]["notes"][1]
    assert {"feature_std", "effective_rank", "knn_accuracy"} == set(record["history"][-1]["monitors"])
    assert {"model", "start"} <= set(record["gain"]["arms"])
    assert run.metrics["comparisons"][0]["against"] == "start"
    assert len(record["views"]) and all(len(row["pictures"]) == 3 for row in record["views"])
    assert not (pretrained / "work").exists()
    assert ">Views<" in (pretrained / "report.html").read_text()


def test_the_run_is_a_backbone_for_fit_and_predicts_nothing_itself(
    pretrained: Path, scans: Path, headstart_command: Command
) -> None:
    fitted = headstart_command("fit", scans, "--backbone", pretrained, "--no-scratch", "--json")
    assert fitted.code == 0, fitted.err
    assert headstart.load(json.loads(fitted.out)["run"]).record.backbone_origin == f"run {pretrained}"
    for refused in (("predict", pretrained, scans), ("evaluate", pretrained)):
        ended = headstart_command(*refused)
        assert ended.code == RunError.exit_code
        assert f"headstart fit LABELLED --backbone {pretrained}" in ended.err
    assert headstart_command("report", pretrained, "--out", "again.html").code == 0
    assert Path("again.html").read_text() == (pretrained / "report.html").read_text()


def test_the_command_says_that_labels_are_not_used(scans: Path, headstart_command: Command) -> None:
    ended = headstart_command("pretrain", scans, *FLAGS, "--set", "training.epochs=1")
    assert ended.code == 0, ended.err
    assert "The files are in 2 folders: dark (2" in ended.err
    assert "If these are classes, they are not used." in ended.err
    assert "To learn if it helps, give a labelled sample with --labelled." in " ".join(ended.out.split())


def test_after_a_kill_the_same_command_goes_on_to_the_same_bits(
    scans: Path, here: Path, headstart_command: Command
) -> None:
    line = ("pretrain", scans, *OFFLINE, "--set", "training.batch_size=8", "--set", "training.epochs=3", "--out")
    assert headstart_command(*line, "whole").code == 0
    code, _ = stopped(signal.SIGKILL, held_in_training, "pretraining.checkpoint", 1, *line, "killed")
    assert code == -signal.SIGKILL
    assert not Path("killed/record.json").exists()
    resumed = headstart_command(*line, "killed")
    assert resumed.code == 0 and "killed was stopped before its end: going on from there" in resumed.err
    weights = [(here / name / "model" / "model.safetensors").read_bytes() for name in ("whole", "killed")]
    assert weights[0] == weights[1]


def test_a_time_is_kept_and_the_look_at_the_start_counts(
    scans: Path, headstart_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    validate, looks = Loop.validate, []

    def slow_at_first(loop: Loop) -> Validated:
        looks.append(time.sleep(0 if looks else 0.3))
        return validate(loop)

    monkeypatch.setattr(Loop, "validate", slow_at_first)
    ended = headstart_command("pretrain", scans, *OFFLINE, "--set", "training.batch_size=8", "--budget", "1s", "--json")
    assert ended.code == 0, ended.err
    record = headstart.load(json.loads(ended.out)["run"]).record
    assert record.budget is not None and record.budget.seconds == 1
    assert record.budget.used >= 0.3 + sum(epoch.seconds for epoch in record.history)
    assert len(record.history) < 100 and record.stopped != "all 100 epochs done"


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (("--objective", "supervised"), 2, "objective 'supervised' needs labels: it is for fit. For pretrain: "),
        (("--objective", "masked_tokens"), 2, "learns from text data, these are image"),
        (("--augmentation", "span_mask"), 2, "augmentation 'span_mask' changes text inputs, the data are image"),
        (("--set", "training.epoch=2"), 2, "training.epoch is not a setting. Did you mean 'epochs'?"),
        (("--set", "training.patience=2"), 2, "patience chooses by a loss on labels, and pretraining has none"),
        (("--set", "training.batch_size=64"), 2, "there are 33 inputs to train on"),
        (("--set", "tuning.epochs=2"), 2, "--set part 'tuning' is not known. Did you mean 'training'?"),
    ],
)
def test_what_does_not_suit_is_refused_before_anything_runs(
    scans: Path, here: Path, headstart_command: Command, flags: tuple[str, ...], code: int, message: str
) -> None:
    ended = headstart_command("pretrain", scans, *OFFLINE, *flags)
    assert (ended.code, list(here.glob("runs/*"))) == (code, [])
    assert message in ended.err


def test_a_fit_refuses_objectives_of_pretraining(photos: Path, headstart_command: Command) -> None:
    ended = headstart_command("fit", photos, *OFFLINE, "--objective", "simclr")
    assert ended.code == 2 and "objective 'simclr' learns without labels: it is for headstart pretrain" in ended.err


def test_folders_with_nothing_or_too_little_are_refused(here: Path, headstart_command: Command) -> None:
    (here / "empty").mkdir()
    photo_folder(here / "few", {"dark": 3, "light": 3})
    assert "the folder is empty" in headstart_command("pretrain", "empty").err
    assert "few has 6 inputs; learning without labels needs 32 at least" in headstart_command("pretrain", "few").err


def test_a_folder_of_damaged_files_ends_with_a_name(here: Path, headstart_command: Command) -> None:
    (here / "bad").mkdir()
    for number in range(40):
        (here / "bad" / f"{number}.png").write_bytes(b"\x89PNG\r\n\x1a\nxx")
    ended = headstart_command("pretrain", "bad", *FLAGS)
    assert ended.code == 3 and ".png is not an image that Pillow can read" in ended.err
    assert not (here / "runs" / "bad").exists()


def test_texts_and_numbers_are_learnt_from_too(here: Path, headstart_command: Command, bert: Path) -> None:
    reviews(60).to_csv("reviews.csv", index=False)
    ended = headstart_command(
        "pretrain", "reviews.csv", "--text", "review", "--backbone", bert, "--set", "training.epochs=1", "--json"
    )
    assert ended.code == 0, ended.err
    run = headstart.load(json.loads(ended.out)["run"])
    assert run.record.objective == "masked_tokens" and run.record.data.modality == "text"
    assert any(decision.what == "objective" for decision in run.record.decisions)


def test_two_processes_make_one_run_and_answer_once(scans: Path, here: Path) -> None:
    with launched(command, "pretrain", scans, *FLAGS, "--json", "--out", "run") as (first, second):
        assert (first.wait(), second.wait()) == (0, 0), first.err + second.err
        assert json.loads(first.out)["run"] == "run"
        assert not second.out
    assert headstart.load("run").record.history
