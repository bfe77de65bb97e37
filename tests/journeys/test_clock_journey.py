"""Without a budget no clock decides: a fit on a machine a thousand times as slow comes to the same bits."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from small_data import OFFLINE

import headstart
from conftest import Command
from headstart.verbs.run import Run

SLOWER = 1000.0
FIT = (*OFFLINE, "--runner", "eager", "--set", "scratch.rates_tried=[1.0,3.0]")


def fitted(command: Command, photos: Path, out: str, *flags: str) -> Run:
    ended = command("fit", photos, "--out", out, *FIT, *flags)
    assert ended.code == 0, ended.err
    return headstart.load(out)


def slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every clock runs on as if all that is done took a thousand times as long."""
    for name in ("monotonic", "perf_counter"):
        real = getattr(time, name)
        monkeypatch.setattr(time, name, lambda real=real: SLOWER * real())


def outcome(run: Run) -> Any:
    record = run.record
    told = [(one.what, one.value, one.reason) for one in record.decisions]
    figures = {key: arm.figures for key, arm in record.arms.items()}
    course = [(one.train_loss, one.val_loss) for one in record.arms["scratch"].history]
    return told, figures, record.arms["scratch"].stopped, record.verdict, course


@pytest.mark.slow
def test_a_slow_machine_comes_to_the_same_baseline(
    headstart_command: Command, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = ("--tuning", "full", "--set", "tuning.epochs=1", "--no-label-curve")
    usual = fitted(headstart_command, photos, "usual", *flags)
    slow_machine(monkeypatch)
    slow = fitted(headstart_command, photos, "slow", *flags)
    assert slow.record.arms["scratch"].history
    assert outcome(slow) == outcome(usual)
