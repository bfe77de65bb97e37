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


SAME = ("everything", "batchnorm_and_dropout", "own_gradients", "no_memory")
FAULTS = {"no_room": "training of a single example", "nan": "'cross_entropy' became nan in epoch"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what two processes came to, one kind of training after the other; in `one`, what one came to."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "one").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), str(SCRIPT.parent)]))
        alone = subprocess.run([sys.executable, SCRIPT, folder / "one", "twenty_steps"], capture_output=True, text=True)
        both = launched(SCRIPT, folder, "twenty_steps", *SAME, *FAULTS)
    assert (alone.returncode, both.returncode) == (0, 0), alone.stderr + both.stderr
    return folder


def test_two_processes_come_to_the_weights_of_one_after_twenty_steps(trained: Path) -> None:
    state, losses = torch.load(trained / "one" / "twenty_steps-0.pt")
    for rank in (0, 1):
        found, their_losses = torch.load(trained / f"twenty_steps-{rank}.pt")
        torch.testing.assert_close(their_losses, losses, atol=1e-4, rtol=0)
        for name, tensor in state.items():
            torch.testing.assert_close(found[name], tensor, atol=1e-4, rtol=0, msg=name)


@pytest.mark.parametrize("kind", SAME)
def test_both_processes_have_the_same_weights_bit_for_bit(kind: str, trained: Path) -> None:
    (one, _), (other, _) = (torch.load(trained / f"{kind}-{rank}.pt") for rank in (0, 1))
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.mark.parametrize(("kind", "message"), FAULTS.items())
def test_what_goes_wrong_in_one_process_is_told_by_all(kind: str, message: str, trained: Path) -> None:
    for rank in (0, 1):
        assert message in (trained / f"{kind}-{rank}.txt").read_text()


def test_a_fit_by_steps_trains_in_both_and_makes_one_run(
    here: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(here / "cache"))
    flags = (*OFFLINE, "--tuning", "full", "--no-scratch", "--set", "tuning.epochs=2")
    ended = launched("-m", "headstart", "fit", photos, *flags, "--out", "run")
    assert ended.returncode == 0, ended.stderr
    assert (here / "run" / "model" / "model.json").exists()
