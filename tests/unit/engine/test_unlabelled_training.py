"""Training without labels: it learns, is judged without labels, keeps its last weights, and a collapse ends it."""

from __future__ import annotations

import math
import re
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from headstart.contracts.backbone import state_hash
from headstart.contracts.objective import TARGET, TARGET_AGAIN
from headstart.engine.streams import Stream
from headstart.engine.training.checkpoint import CheckpointFile
from headstart.engine.training.collapse import require_spread
from headstart.engine.training.loop import Loop
from headstart.engine.training.validator import Validated
from headstart.kernel.errors import TrainingError
from headstart.numerics.spread import effective_rank, feature_std
from unlabelled_trainings import COURSE, HELD_OUT, TRAIN, Pulled, unlabelled_loop


def weights(loop: Loop) -> str:
    return state_hash({**loop.model.backbone.module.state_dict(), **loop.model.additions.state_dict()})


def test_it_learns_to_know_views_again_and_keeps_the_last_weights() -> None:
    loop = unlabelled_loop(course=COURSE.model_copy(update={"epochs": 8}))
    before = loop.validate()
    progress = loop.run()
    assert progress.history[-1].val_loss < before.loss - 0.1
    assert progress.best_epoch == 7 and progress.stopped == "all 8 epochs done"
    assert loop.validate().loss == progress.history[-1].val_loss


def test_monitors_are_those_of_the_held_out_inputs_as_they_are() -> None:
    loop = unlabelled_loop(watch=lambda: {"knn_accuracy": 0.5})
    progress = loop.run()
    backbone = loop.model.backbone
    inputs = loop.streams[TARGET].source(HELD_OUT)
    with torch.no_grad():
        pooled = backbone.features(backbone.segment(0, 3)(inputs)).pooled
    last = progress.history[-1].monitors
    assert last["feature_std"] == pytest.approx(feature_std(pooled), rel=1e-5)
    assert last["effective_rank"] == pytest.approx(effective_rank(pooled), rel=1e-5)
    assert last["knn_accuracy"] == 0.5
    assert math.isnan(progress.history[-1].val_metric)


def test_an_objective_that_pulls_everything_together_is_stopped_as_collapsed() -> None:
    loop = unlabelled_loop(Pulled(), course=COURSE.model_copy(update={"epochs": 200, "learning_rate": 0.05}), far=1.0)
    progress = loop.run()
    assert progress.broken_off and len(progress.history) < 200
    assert re.match(r"the representation collapsed in epoch \d+: different inputs", progress.stopped)
    assert loop.validate().monitors["feature_std"] >= 0.01, "the weights before the collapse are kept"


COLLAPSED = {"feature_std": 0.001, "effective_rank": 1.0}


def test_a_first_epoch_that_collapses_is_stopped_where_the_start_was_sound() -> None:
    loop = unlabelled_loop(Pulled(), course=COURSE.model_copy(update={"epochs": 1, "learning_rate": 0.5}), far=1.0)
    loop.initial_monitors = {"feature_std": 0.9, "effective_rank": 3.0}
    loop.validation = lambda *_: Validated(1.0, math.nan, 1.0, COLLAPSED)  # type: ignore[assignment]
    with pytest.raises(TrainingError, match="collapsed in epoch 1: different inputs"):
        loop.run()
    require_spread(0, COLLAPSED, COLLAPSED)


def test_looking_at_the_embeddings_counts_in_the_time_of_a_pass() -> None:
    loop = unlabelled_loop(watch=lambda: time.sleep(0.3) or {})  # type: ignore[func-returns-value]
    before = loop.validation.estimated_seconds()
    loop.validate()
    assert loop.validation.estimated_seconds() > before + 0.2


def test_a_training_that_was_stopped_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    whole = unlabelled_loop()
    whole.run()
    file = CheckpointFile(tmp_path / "checkpoint", "same")
    unlabelled_loop(checkpoint=file).run(until=1)
    resumed = unlabelled_loop(checkpoint=file)
    assert resumed.run().history[0].monitors == whole.progress.history[0].monitors
    assert weights(resumed) == weights(whole)


def test_a_long_pass_is_divided_into_epochs_that_hold_each_row_once() -> None:
    stream = Stream(TARGET, TRAIN, {}, lambda rows: None, 8, 0, rounds=3)  # type: ignore[arg-type,return-value]
    assert [stream.steps(), len(stream.order(0)), len(stream.order(4))] == [3, 3, 3]
    passed = np.sort(np.concatenate([np.concatenate(stream.order(epoch)) for epoch in range(3)]))
    assert passed.tolist() == TRAIN.tolist()
    following = np.concatenate([np.concatenate(stream.order(epoch)) for epoch in range(3, 6)])
    assert sorted(following) == TRAIN.tolist() and following.tolist() != passed.tolist()


def test_the_second_view_has_the_rows_of_the_first_and_is_another_one() -> None:
    streams = unlabelled_loop().streams
    rows = [np.concatenate(stream.order(2)).tolist() for stream in streams.values()]
    assert rows[0] == rows[1]
    one, other = (stream.batch(TRAIN[:4], 0).state.hidden for stream in (streams[TARGET], streams[TARGET_AGAIN]))
    assert (one != other).all()
