"""Ctrl-C and kill -9: the same command goes on, computes nothing twice and ends as if nothing had happened."""

from __future__ import annotations

import io
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from small_data import OFFLINE
from stopped_commands import held_in_the_frozen_pass, held_in_training, stopped

import headstart

Command = Callable[..., Any]

HELD_EPOCH, EPOCHS = 1, 3
TRAINING = (
    *OFFLINE,
    *("--tuning", "full", "--runner", "eager", "--out", "mine"),
    *("--set", "tuning.batch_size=8", "--set", f"tuning.epochs={EPOCHS}", "--set", f"tuning.patience={EPOCHS}"),
    *("--set", "scratch.batch_size=8", "--set", f"scratch.epochs={EPOCHS}", "--set", "scratch.rates_tried=[1.0]"),
)


@pytest.fixture(scope="module")
def uninterrupted(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the same fit, left in peace."""
    out = tmp_path_factory.mktemp("peace") / "mine"
    recipe = {"batch_size": 8, "epochs": EPOCHS}
    settings: dict[str, dict[str, Any]] = {
        "backbone": {"image_size": 32},
        "tuning": {**recipe, "patience": EPOCHS},
        "scratch": {**recipe, "rates_tried": [1.0]},
    }
    given: dict[str, Any] = {"backbone": "test_resnet", "weights": "random", "tuning": "full", "runner": "eager"}
    headstart.fit(photos, settings=settings, out=out, **given)
    return out


@pytest.mark.parametrize(("arm", "by"), [("model", signal.SIGINT), ("scratch", signal.SIGKILL)])
def test_a_training_that_was_stopped_goes_on(
    arm: str, by: signal.Signals, photos: Path, uninterrupted: Path, headstart_command: Command
) -> None:
    line = ("fit", photos, *TRAINING)
    code, err = stopped(by, held_in_training, f"{arm}-1.checkpoint", HELD_EPOCH, *line)
    if by == signal.SIGINT:
        assert code == 130, err
        assert "Stopped. Finished work is kept; run the same command again to resume." in err
        assert "Traceback" not in err
    else:
        assert code == -signal.SIGKILL
    assert not Path("mine/record.json").exists()
    whole = Path("mine", "work", f"{arm}-1.checkpoint").read_bytes()
    before = torch.load(io.BytesIO(whole[32:]), weights_only=True)["progress"]["history"]
    assert len(before) == HELD_EPOCH

    ended = headstart_command(*line)
    assert ended.code == 0, ended.err
    assert "mine was stopped before its end: going on from there" in ended.err
    for name in ("model/model.safetensors", "metrics.json", "split.csv", "test_predictions.csv"):
        assert Path("mine", name).read_bytes() == (uninterrupted / name).read_bytes(), name
    record, other = headstart.load("mine").record, headstart.load(uninterrupted).record
    history = record.arms[arm].history
    assert [epoch.seconds for epoch in history[:HELD_EPOCH]] == [epoch["seconds"] for epoch in before]
    for key in ("model", "scratch"):
        losses = [epoch.val_loss for epoch in record.arms[key].history]
        assert losses == [epoch.val_loss for epoch in other.arms[key].history]
    assert not Path("mine/work").exists()


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGKILL])
def test_a_frozen_pass_that_was_stopped_goes_on(
    by: signal.Signals, here: Path, photos: Path, headstart_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(here / "cache"))
    line = ("fit", photos, *OFFLINE, "--no-scratch", "--out", "mine")
    code, err = stopped(by, held_in_the_frozen_pass, 10**6, *line)
    assert code == (130 if by == signal.SIGINT else -signal.SIGKILL), err
    assert not Path("mine/record.json").exists()

    ended = headstart_command(*line, "--json")
    assert ended.code == 0, ended.err
    found = headstart.load("mine").record.frozen_pass
    assert 0 < found.reused < 40
    assert found.computed == 40 - found.reused
    assert json.loads(ended.out)["test"]["accuracy"]["value"] == 1.0


def test_another_command_may_take_the_name_of_one_that_was_stopped_early(
    here: Path, photos: Path, headstart_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("headstart.pipeline.sequence.embed", stop)
        assert headstart_command("fit", photos, *OFFLINE, "--out", "mine").code == 130
    assert not Path("mine").exists()
    assert headstart_command("fit", photos, *OFFLINE, "--no-scratch", "--out", "mine").code == 0
