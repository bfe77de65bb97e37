"""The probe as an arm beside a training on the same live backbone, and solved once more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from test_tuned_arms import SHORT, numbers

from headstart.engine.training.checkpoint import Progress
from headstart.pipeline.arms import predict_rows, solve_arm, train_arm
from headstart.pipeline.refit import solved_again
from headstart.tuning.full import Full


def test_a_probe_that_runs_its_backbone_does_so_with_the_weights_it_was_solved_for() -> None:
    context = numbers()
    probe = solve_arm(context, "probe")
    weights = {name: value.clone() for name, value in context.backbone.module.state_dict().items()}
    rows = context.data.split.test
    stored = predict_rows(context, probe, rows).columns["logits"]
    train_arm(context, "model", Full(**SHORT), "full", None, probe)
    tuned = {name: value.clone() for name, value in context.backbone.module.state_dict().items()}
    runs = replace(probe, progress=Progress(), weights=weights)
    assert np.allclose(predict_rows(context, runs, rows).columns["logits"], stored, atol=1e-5)
    assert not np.allclose(
        predict_rows(context, replace(runs, weights=None), rows).columns["logits"], stored, atol=1e-3
    )
    assert all(value.equal(tuned[name]) for name, value in context.backbone.module.state_dict().items())


def test_a_refitted_probe_has_seen_the_validation_labels_and_keeps_its_calibration() -> None:
    context = numbers()
    probe = solve_arm(context, "probe")
    again = solved_again(context, probe)
    assert again.model.calibration == probe.model.calibration
    assert not again.model.heads["head"].weight.equal(probe.model.heads["head"].weight)  # type: ignore[union-attr]
    labels = context.data.targets["label"]
    labels[context.data.split.val] = 1 - labels[context.data.split.val]
    other = solved_again(context, probe)
    assert not other.model.heads["head"].weight.equal(again.model.heads["head"].weight)  # type: ignore[union-attr]


def test_without_a_validation_part_there_is_nothing_to_refit() -> None:
    context = numbers()
    context = replace(
        context, data=replace(context.data, split=replace(context.data.split, val=np.array([], np.int64)))
    )
    probe = solve_arm(context, "probe")
    assert solved_again(context, probe) is probe
