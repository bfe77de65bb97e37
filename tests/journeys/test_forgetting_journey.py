"""A run as backbone for other data: what the training forgets of the run's own is told, and what keeps it."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_data import own_copy, photo_folder

import headstart
from conftest import Command

SHORT = ("--tuning", "full", "--set", "tuning.epochs=2", "--no-scratch", "--no-label-curve")


@pytest.fixture
def old_run(here: Path, photo_run: Path) -> Path:
    """A run of its own: what it forgot is a reading of its test part, which is counted."""
    return own_copy(photo_run, here / "old")


@pytest.fixture
def stripes() -> Path:
    """Other pictures, of three classes."""
    return photo_folder(Path("other"), {"dim": 12, "mid": 12, "lit": 12}, seed=7)


@pytest.mark.parametrize("objective", ["supervised", "lwf", "rehearsal", "co_tuning"])
def test_every_fit_on_a_run_tells_what_it_forgot(
    objective: str, old_run: Path, stripes: Path, headstart_command: Command
) -> None:
    done = headstart_command("fit", stripes, "--backbone", old_run, *SHORT, "--objective", objective, "--out", "run")
    assert done.code == 0, done.err
    run = headstart.load("run")
    found = run.record.forgetting
    assert found is not None and found.examples == 8 and not found.leaked and found.run == str(old_run)
    before = headstart.load(old_run).metrics["test"]["accuracy"]["value"]
    assert found.before["accuracy"].value == pytest.approx(before, abs=1e-6)
    assert 0 <= found.after["accuracy"].value <= 1 and found.difference is not None and found.difference.low is not None
    assert f"old test examples of {old_run}" in run.verdict


def test_a_frozen_backbone_forgets_nothing_and_says_nothing(
    old_run: Path, stripes: Path, headstart_command: Command
) -> None:
    given = ("--backbone", old_run, "--tuning", "head_only", *SHORT[2:])
    assert headstart_command("fit", stripes, *given, "--out", "run").code == 0
    assert headstart.load("run").record.forgetting is None


def test_what_needs_the_old_head_or_the_old_data_is_refused_without(
    stripes: Path, old_run: Path, headstart_command: Command
) -> None:
    random = ("--backbone", "test_resnet", "--weights", "random", "--set", "backbone.image_size=32")
    refused = headstart_command("fit", stripes, *random, *SHORT, "--objective", "lwf")
    assert refused.code == 2 and "objective 'lwf': it needs the head that the backbone was trained with" in refused.err
