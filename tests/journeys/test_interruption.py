"""Ctrl-C and kill -9: the same command goes on, computes nothing twice and ends as if nothing had happened."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from small_data import OFFLINE

import headstart

Command = Callable[..., Any]

CHECKPOINT_AFTER_EVERY_STEP = """
from headstart.engine import loop
loop.CHECKPOINT_SECONDS = 0.0
from headstart.__main__ import main
main()
"""

SLOW_FROZEN_PASS = """
import time
from headstart.backbones._timm_backbone import TimmBackbone
from headstart.engine import extract
from headstart.engine.feature_store import FeatureStore
prepare = TimmBackbone.prepare
def slow(self, raws):
    time.sleep(0.5)
    return prepare(self, raws)
TimmBackbone.prepare = slow
extract.usual_batch_size = lambda device: 4
FeatureStore.__init__.__kwdefaults__["flush_seconds"] = 0.0
from headstart.__main__ import main
main()
"""

EPOCHS = 12
TRAINING = (
    *OFFLINE,
    *("--tuning", "full", "--out", "mine"),
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
    headstart.fit(photos, backbone="test_resnet", weights="random", tuning="full", settings=settings, out=out)
    return out


def stopped(
    program: str, arguments: tuple[object, ...], by: signal.Signals, when: Callable[[], Any]
) -> tuple[int, str]:
    """Start a command line in a process of its own, send a signal as soon as `when` holds: its exit code and stderr."""
    line = [sys.executable, "-c", program, *map(str, arguments)]
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        give_up = time.monotonic() + 60
        while not when():
            assert process.poll() is None and time.monotonic() < give_up, process.communicate(timeout=5)[1]
            time.sleep(0.005)
        process.send_signal(by)
        _, err = process.communicate(timeout=60)
    return process.returncode, err


def progress(key: str) -> dict[str, Any]:
    """What the checkpoint of a training in `mine` says of it; nothing before there is one."""
    try:
        whole = Path("mine", "work", f"{key}.checkpoint").read_bytes()
    except FileNotFoundError:
        return {"epoch": 0, "history": []}
    found: dict[str, Any] = torch.load(io.BytesIO(whole[32:]), weights_only=True)["progress"]
    return found


@pytest.mark.parametrize(("arm", "by"), [("model", signal.SIGINT), ("scratch", signal.SIGKILL)])
def test_a_training_that_was_stopped_goes_on(
    arm: str, by: signal.Signals, photos: Path, uninterrupted: Path, headstart_command: Command
) -> None:
    line = ("fit", photos, *TRAINING)
    code, err = stopped(CHECKPOINT_AFTER_EVERY_STEP, line, by, lambda: progress(f"{arm}-1")["epoch"] >= 3)
    if by == signal.SIGINT:
        assert code == 130, err
        assert "Stopped. What is computed is kept; the same command resumes from there." in err
        assert "Traceback" not in err
    else:
        assert code == -signal.SIGKILL
    assert not Path("mine/record.json").exists()
    before = progress(f"{arm}-1")["history"]
    assert 3 <= len(before) < EPOCHS

    ended = headstart_command(*line)
    assert ended.code == 0, ended.err
    assert "mine was stopped before its end: going on from there" in ended.err
    for name in ("model/model.safetensors", "metrics.json", "split.csv", "test_predictions.csv"):
        assert Path("mine", name).read_bytes() == (uninterrupted / name).read_bytes(), name
    record, whole = headstart.load("mine").record, headstart.load(uninterrupted).record
    history = record.arms[arm].history
    assert [epoch.seconds for epoch in history[: len(before)]] == [epoch["seconds"] for epoch in before]
    for key in ("model", "scratch"):
        losses = [epoch.val_loss for epoch in record.arms[key].history]
        assert losses == [epoch.val_loss for epoch in whole.arms[key].history]
    assert not Path("mine/work").exists()


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGKILL])
def test_a_frozen_pass_that_was_stopped_goes_on(
    by: signal.Signals, here: Path, photos: Path, headstart_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(here / "cache"))
    line = ("fit", photos, *OFFLINE, "--no-scratch", "--out", "mine")
    code, err = stopped(SLOW_FROZEN_PASS, line, by, lambda: any(Path("cache").rglob("*.shard")))
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
        patch.setattr("headstart.product.fit.extract", stop)
        assert headstart_command("fit", photos, *OFFLINE, "--out", "mine").code == 130
    assert not Path("mine").exists()
    assert headstart_command("fit", photos, *OFFLINE, "--no-scratch", "--out", "mine").code == 0
