"""A training that pauses goes on, in the same process or another, with the bits of one that never did."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.engine.training.checkpoint import CheckpointFile
from small_trainings import KINDS, changed, small_loop, weights


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["batchnorm_and_dropout", "stored_prefix", "everything"])
@pytest.mark.parametrize("afresh", [False, True], ids=["same loop", "another loop"])
def test_a_pause_changes_nothing(kind: str, afresh: bool, tmp_path: Path) -> None:
    make = KINDS[kind]
    whole = make()
    whole.run()
    file = CheckpointFile(tmp_path / "a.checkpoint", "same")
    loop = make(checkpoint=file)
    for until in (1, 1, 3):
        progress = loop.run(until=until)
        assert (progress.epoch, progress.stopped) == (until, "")
        if afresh:
            loop = make(checkpoint=file)
    assert loop.run().stopped == "all 4 epochs done"
    assert weights(loop) == weights(whole)
    assert [e.val_loss for e in loop.progress.history] == [e.val_loss for e in whole.progress.history]


def test_in_a_pause_the_model_has_its_best_weights_so_far() -> None:
    loop = small_loop(changed(learning_rate=1.0, epochs=6))
    progress = loop.run(until=4)
    assert progress.best_epoch < 3, "the last epoch must not be the best one, or the test shows nothing"
    assert loop.validate()[0] == progress.best_cost


def test_an_end_before_the_pause_is_an_end() -> None:
    progress = small_loop().run(until=99)
    assert progress.stopped and progress.finished
