"""A training that is really killed, by SIGKILL, and resumed ends with the same bits as one that never was."""

from __future__ import annotations

import itertools
import signal
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from forked_processes import Forked
from headstart.engine.training import loop as loop_module
from headstart.engine.training.checkpoint import CheckpointFile
from small_trainings import KINDS, train, weights

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def checkpoints_are_rare_again_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "CHECKPOINT_SECONDS", 0.0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """Each kind of training, as it is when nothing kills it."""
    return cache(lambda kind: train(kind, tmp_path_factory.mktemp("whole")))


@pytest.mark.parametrize("killed_at", [1, 7])
@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=() if kind in ("everything", "stored_prefix") else pytest.mark.slow) for kind in KINDS],
)
def test_a_killed_training_resumes_to_the_same_weights(
    kind: str, killed_at: int, whole: Callable[[str], Any], tmp_path: Path
) -> None:
    with Forked(train, kind, tmp_path, killed_at) as victim:
        assert victim.wait() == -signal.SIGKILL
    assert (tmp_path / "a.checkpoint").exists()
    resumed = train(kind, tmp_path)
    assert weights(resumed) == weights(whole(kind))
    assert [e.val_loss for e in resumed.progress.history] == [e.val_loss for e in whole(kind).progress.history]
    assert resumed.progress.choices() == whole(kind).progress.choices()


def train_for(seconds: float, folder: Path) -> None:
    """Train, and be ended by the kernel after so much processor time from the first step on: in the third at latest."""
    step, numbers = loop_module.Loop.step, itertools.count()

    def timed(loop: loop_module.Loop, batches: Any) -> None:
        number = next(numbers)
        if number == 0:
            signal.setitimer(signal.ITIMER_PROF, seconds)
        while number == 2:
            pass
        step(loop, batches)

    loop_module.Loop.step = timed  # type: ignore[method-assign]
    train("everything", folder)


def test_it_may_be_killed_again_and_again_at_any_moment(whole: Callable[[str], Any], tmp_path: Path) -> None:
    for seconds in (0.001, 0.005, 0.01, 0.015, 0.02, 0.03):
        with Forked(train_for, seconds, tmp_path) as victim:
            assert victim.wait() == -signal.SIGPROF, victim.err
    assert (tmp_path / "a.checkpoint").exists()
    assert weights(train("everything", tmp_path)) == weights(whole("everything"))


def test_a_kill_between_the_last_epoch_and_the_soup_loses_neither(
    whole: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = CheckpointFile(tmp_path / "a.checkpoint", "same")
    broken = KINDS["soup_and_interpolation"](checkpoint=file)
    with monkeypatch.context() as patched, pytest.raises(SystemExit):
        patched.setattr(loop_module, "final_weights", lambda *_: sys.exit("killed"))
        broken.run()
    kept = broken.checkpoint.read() if broken.checkpoint else None
    assert kept is not None and kept.progress.stopped and not kept.progress.finished
    resumed = train("soup_and_interpolation", tmp_path)
    assert resumed.progress.finished
    assert weights(resumed) == weights(whole("soup_and_interpolation"))


def test_of_a_finished_training_the_final_weights_alone_are_kept(tmp_path: Path) -> None:
    first = train("everything", tmp_path)
    kept = CheckpointFile(tmp_path / "a.checkpoint", "same").also_by("bfloat16").read()
    assert kept is not None and kept.progress.finished and len(kept.kept) == 1
    assert not kept.weights and not kept.optimiser and not kept.average
    again = train("everything", tmp_path)
    assert weights(again) == weights(first)
    assert again.progress.history == first.progress.history
