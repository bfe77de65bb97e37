from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from headstart.contracts.tuning import Rate, Recipe
from headstart.engine.training.optimiser import frozen_state, plan_optimiser, schedule, set_rates, train_mode
from headstart.kernel.errors import TrainingError
from tiny_backbone import TinyBackbone

RECIPE = Recipe(learning_rate=0.1, head_learning_rate=0.5, weight_decay=0.3, warmup=0.2)


def test_only_named_stages_and_the_head_move() -> None:
    backbone, head = TinyBackbone(), nn.Linear(8, 2)
    plan_optimiser(backbone, [head], [Rate(-1, 1.0), Rate(2, 0.5)], RECIPE)
    moving = {name for name, p in backbone.module.named_parameters() if p.requires_grad}
    assert moving == set(backbone.stages[2].parameters)
    assert all(p.requires_grad for p in head.parameters())


def test_rates_and_decay_of_every_group() -> None:
    optimiser = plan_optimiser(TinyBackbone(), [nn.Linear(8, 2)], [Rate(-1, 1.0), Rate(2, 0.5)], RECIPE)
    found = [(g["peak"], g["weight_decay"], [p.ndim for p in g["params"]]) for g in optimiser.param_groups]
    assert found == [(0.5, 0.3, [2]), (0.5, 0.0, [1]), (0.05, 0.3, [2]), (0.05, 0.0, [1])]


def test_nothing_to_train_is_an_error() -> None:
    with pytest.raises(TrainingError, match="nothing would be trained"):
        plan_optimiser(TinyBackbone(), [], [Rate(-1, 1.0)], RECIPE)


def test_the_schedule_warms_up_linearly_and_decays_as_half_a_cosine() -> None:
    assert schedule(0.2, 0.0) == 0.0
    assert schedule(0.2, 0.1) == pytest.approx(0.5)
    assert schedule(0.2, 0.2) == pytest.approx(1.0)
    assert schedule(0.2, 0.6) == pytest.approx(0.5)
    assert schedule(0.2, 0.9) == pytest.approx(0.5 * (1 + math.cos(math.pi * 0.875)))
    assert schedule(0.0, 0.0) == 1.0


def test_a_stage_that_has_not_begun_has_rate_zero() -> None:
    optimiser = plan_optimiser(TinyBackbone(), [nn.Linear(8, 2)], [Rate(-1, 1.0), Rate(0, 1.0, start=0.5)], RECIPE)
    set_rates(optimiser, RECIPE, 0.4)
    assert {group["lr"] > 0 for group in optimiser.param_groups if group["start"] == 0.5} == {False}
    set_rates(optimiser, RECIPE, 0.5)
    assert all(group["lr"] > 0 for group in optimiser.param_groups)


def test_frozen_stages_stay_in_evaluation_mode() -> None:
    backbone = TinyBackbone()
    head = nn.Linear(8, 2)
    train_mode(backbone, [head], {-1, 1})
    training = {name for name, module in backbone.module.named_modules() if module.training and name}
    assert training == {"1", "1.0", "1.1", "1.2", "1.3"}
    assert head.training


def test_batchnorm_may_keep_its_statistics_while_its_stage_trains() -> None:
    backbone = TinyBackbone()
    train_mode(backbone, [], {-1, 1}, renew_statistics=False)
    stage = backbone.module[1]
    assert [module.training for module in stage] == [True, False, True, True]
    before = stage[1].running_mean.clone()
    stage(torch.randn(16, 8)).sum().backward()
    assert torch.equal(stage[1].running_mean, before)
    assert stage[1].weight.grad is not None


def test_frozen_state_holds_parameters_and_buffers_of_what_does_not_move() -> None:
    backbone = TinyBackbone()
    names = set(frozen_state(backbone, {-1, 2}))
    assert names == {name for name in backbone.module.state_dict() if not name.startswith("2.")}
    assert any("running_mean" in name for name in names)
    assert all(torch.equal(t, backbone.module.state_dict()[n]) for n, t in frozen_state(backbone, {-1}).items())
