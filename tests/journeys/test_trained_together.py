"""Two processes, started by torchrun, train one model as one process does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_data import OFFLINE
from test_launched import launched

TESTS = Path(__file__).parent.parent
SCRIPT = TESTS / "unit" / "engine" / "trained_together.py"


@pytest.fixture(autouse=True)
def helpers_can_be_imported(monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), str(SCRIPT.parent)]))
    monkeypatch.setenv("HEADSTART_CACHE", str(here / "cache"))


def test_two_processes_come_to_the_weights_of_one_after_twenty_steps(tmp_path: Path) -> None:
    for part in ("one", "two"):
        (tmp_path / part).mkdir()
    alone = subprocess.run([sys.executable, SCRIPT, "twenty_steps", tmp_path / "one"], capture_output=True, text=True)
    both = launched(SCRIPT, "twenty_steps", tmp_path / "two")
    assert (alone.returncode, both.returncode) == (0, 0), alone.stderr + both.stderr
    state, losses = torch.load(tmp_path / "one" / "twenty_steps-0.pt")
    for rank in (0, 1):
        found, their_losses = torch.load(tmp_path / "two" / f"twenty_steps-{rank}.pt")
        torch.testing.assert_close(their_losses, losses, atol=1e-4, rtol=0)
        for name, tensor in state.items():
            torch.testing.assert_close(found[name], tensor, atol=1e-4, rtol=0, msg=name)


@pytest.mark.parametrize("kind", ["everything", "batchnorm_and_dropout", "own_gradients", "no_memory"])
def test_both_processes_have_the_same_weights_bit_for_bit(kind: str, tmp_path: Path) -> None:
    ended = launched(SCRIPT, kind, tmp_path)
    assert ended.returncode == 0, ended.stderr
    (one, _), (other, _) = (torch.load(tmp_path / f"{kind}-{rank}.pt") for rank in (0, 1))
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.mark.parametrize(
    ("kind", "message"), [("no_room", "training of a single example"), ("nan", "'cross_entropy' became nan in epoch")]
)
def test_what_goes_wrong_in_one_process_is_told_by_all(kind: str, message: str, tmp_path: Path) -> None:
    ended = launched(SCRIPT, kind, tmp_path)
    assert ended.returncode != 0
    assert message in ended.stderr


def test_a_fit_by_steps_trains_in_both_and_makes_one_run(here: Path, photos: Path) -> None:
    flags = (*OFFLINE, "--tuning", "full", "--no-scratch", "--set", "tuning.epochs=2")
    ended = launched("-m", "headstart", "fit", photos, *flags, "--out", "run")
    assert ended.returncode == 0, ended.stderr
    assert (here / "run" / "model" / "model.json").exists()
