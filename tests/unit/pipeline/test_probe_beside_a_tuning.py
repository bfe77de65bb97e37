"""The probe as an arm beside a training on the same live backbone, and solved once more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from test_tuned_arms import SHORT, numbers

from headstart.engine.training.checkpoint import Progress
from headstart.pipeline.arms import solve_arm, train_arm
from headstart.pipeline.trained import predict_rows
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
