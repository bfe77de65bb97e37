"""Tunings against their papers written out longhand: rates, schedules, relative gradients, low-rank products."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from timm.models.beit import Attention as BeitAttention
from timm.models.eva import EvaAttention
from timm.models.swin_transformer_v2 import WindowAttention as SwinAttention
from torch import nn

from head_shapes import SHAPES
from headstart.contracts.carriers import State
from headstart.contracts.format import Columns
from headstart.contracts.model import Model
from headstart.contracts.tuning import Rate, TrainingStart
from headstart.engine.streams import PreparedInputs, Stream
from headstart.engine.training.optimiser import plan_optimiser, set_rates
from headstart.engine.training.relative_gradients import BATCHES, relative_gradients
from headstart.tasks.classification.task import Classification
from headstart.tuning.full import Full
from headstart.tuning.gradual import Gradual
from headstart.tuning.lora import Lora
from headstart.tuning.lp_ft import LpFt
from headstart.tuning.surgical import Surgical
from tiny_backbone import TinyBackbone, numeric_examples


def never() -> list[float]:
    raise AssertionError("nothing needs to be measured")


def test_layer_wise_decay_as_in_beit() -> None:
    """BEiT's `decay ** (layers + 1 - layer)` for layers 1..n, but for a constant: the last one has the full rate."""
    recipe = Full(learning_rate=0.1, stage_decay=0.65, warmup=0.0)
    backbone = TinyBackbone()
    optimiser = plan_optimiser(backbone, [nn.Linear(8, 2)], recipe.rates(3), recipe)
    set_rates(optimiser, recipe, 0.0)
    found = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    named = dict(backbone.module.named_parameters())
    for stage in range(3):
        for name in backbone.stages[stage].parameters:
            assert found[id(named[name])] == pytest.approx(0.1 * 0.65 ** (4 - (stage + 1)) / 0.65)


def test_gradual_unfreezing_adds_a_stage_per_period_from_the_top_as_in_ulmfit() -> None:
    """Howard & Ruder 2018: in period t = 0, 1, ... the head and the last t stages move; here four periods to 0.8."""
    stages, periods = 4, 5
    rates = Gradual(unfrozen_by=0.8, stage_decay=1 / 2.6).rates(stages)
    for period in range(periods):
        moving = {rate.stage for rate in rates if rate.start <= (period + 0.5) * 0.2}
        assert moving == {-1, *range(stages - period, stages)}
    factors = [rate.factor for rate in rates if rate.stage >= 0]
    for lower, upper in itertools.pairwise(factors):
        assert lower == pytest.approx(upper / 2.6)


def test_a_stage_takes_no_gradient_and_gathers_no_momentum_before_it_begins() -> None:
    recipe, backbone, head = Gradual(unfrozen_by=0.5, warmup=0.0), TinyBackbone(dropout=0.0), nn.Linear(8, 2)
    optimiser = plan_optimiser(backbone, [head], recipe.rates(3), recipe)
    inputs = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    for progress, begun in ((0.0, 0), (0.2, 1), (0.4, 2), (0.6, 3)):
        set_rates(optimiser, recipe, progress)
        backbone.module.eval()
        head(backbone.module(inputs)).square().sum().backward()
        optimiser.step()
        with_momentum = {id(p) for p in optimiser.state}
        for number, stage in enumerate(backbone.module):
            moved = {id(p) in with_momentum for p in stage.parameters()}
            assert moved == {number >= 3 - begun}
        optimiser.zero_grad()


def test_relative_gradients_and_auto_rgn_rates() -> None:
    """Lee et al. 2023, section 4, by the authors' loop: the mean of ||g|| / ||w|| over batches, by the greatest."""
    features = np.random.default_rng(0).normal(size=(96, 4))
    examples = numeric_examples(features, (features[:, 0] > 0).astype(int).tolist())
    backbone, task = TinyBackbone(), Classification().bind(examples, SHAPES)
    torch.manual_seed(0)
    head = nn.Linear(8, 2)
    model = Model(backbone, task, nn.ModuleDict({"head": head}), Columns(), {})
    stream = Stream("source", np.arange(96), task.targets(examples), PreparedInputs(backbone, examples), 16, 0)

    expected = []
    backbone.module.eval()
    labels = torch.tensor((features[:, 0] > 0).astype(int))
    for stage in backbone.module:
        weight, ratios = stage[0].weight, []
        for rows in stream.order(0)[:BATCHES]:
            logits = head(backbone.module(torch.from_numpy(features[rows]).float()))
            gradient = torch.autograd.grad(nn.functional.cross_entropy(logits, labels[rows]), weight)[0]
            ratios.append(float(gradient.norm() / weight.norm()))
        expected.append(np.mean(ratios))

    measured = relative_gradients(model, stream, 0)
    assert measured == pytest.approx(expected, rel=1e-4)
    assert relative_gradients(model, stream, 0) == measured
    rates = Surgical(stage_decay=0.5).settled(Surgical(stage_decay=0.5).rates(3), TrainingStart(True, lambda: measured))
    decayed = [0.25, 0.5, 1.0]
    by_hand = [d * e / max(expected) for d, e in zip(decayed, expected)]
    assert [rate.factor for rate in rates if rate.stage >= 0] == pytest.approx(by_hand, rel=1e-4)
    assert rates[0] == Rate(-1, 1.0)


def test_lp_ft_moves_a_learnt_head_at_the_low_rate_and_lets_any_other_train_alone_first() -> None:
    recipe = LpFt(learning_rate=2e-5, head_learning_rate=1e-3, head_alone=0.4)
    learnt = recipe.settled(recipe.rates(3), TrainingStart(True, never))
    assert learnt[0].factor * recipe.head_learning_rate == pytest.approx(2e-5)
    assert {rate.start for rate in learnt} == {0.0}
    fresh = recipe.settled(recipe.rates(3), TrainingStart(False, never))
    assert fresh[0] == Rate(-1, 1.0)
    assert {rate.start for rate in fresh[1:]} == {0.4}


@pytest.mark.parametrize("layer", [nn.Linear(6, 5), nn.Conv2d(6, 5, 3, stride=2, padding=1)], ids=["linear", "conv"])
def test_what_lora_adds_to_a_weight_is_alpha_over_rank_times_b_a(layer: Any) -> None:
    """Hu et al. 2022, section 4.1; of a convolution, B A is B's 1 x 1 kernel after A's."""
    backbone, before = TinyBackbone(), layer.weight.detach().clone()
    backbone.module[2][0] = layer
    backbone.stages = tuple(backbone.stage_at(k) for k in range(3))
    recipe = Lora(rank=3, alpha=7.5, last=1)
    twin = recipe.adapted(backbone, 0)
    named = dict(twin.module.named_parameters())
    a, b = (next(p for name, p in named.items() if f"lora_{which}" in name) for which in "AB")
    assert not b.any() and a.any(), "training begins from the pretrained model"
    nn.init.normal_(b, generator=torch.Generator().manual_seed(0))
    a, b = a.detach().clone(), b.detach().clone()
    product = torch.einsum("or...,rikl->oikl", b[..., 0, 0], a) if layer.weight.ndim == 4 else b @ a
    assert recipe.merge(twin) == {"adapted_layers": 1}
    assert backbone.module[2][0] is layer
    assert layer.weight.allclose(before + 7.5 / 3 * product, atol=1e-6)


def test_lora_begins_as_the_pretrained_model() -> None:
    backbone, state = TinyBackbone(), State(torch.randn(5, 4))
    backbone.module.eval()
    before = backbone.segment(0, 3)(state).hidden
    twin = Lora().adapted(backbone, 0)
    twin.module.eval()
    assert twin.segment(0, 3)(state).hidden.equal(before)


@pytest.mark.parametrize("attention", [BeitAttention, EvaAttention, SwinAttention])
def test_lora_reaches_attention_that_reads_its_weights_and_calls_no_layer(attention: Any) -> None:
    """BEiT, EVA and Swin v2 add biases of their own to query, key and value."""
    torch.manual_seed(0)
    more = {SwinAttention: {"window_size": (2, 2)}, EvaAttention: {"norm_layer": nn.LayerNorm}}
    backbone, tokens = TinyBackbone(), State(torch.randn(3, 4, 8))
    backbone.module[2] = nn.Sequential(attention(8, num_heads=2, **more.get(attention, {})), nn.Tanh())
    backbone.stages = tuple(backbone.stage_at(k) for k in range(3))
    recipe = Lora(layers=("qkv",), last=1)
    twin = recipe.adapted(backbone, 0)
    named = dict(twin.module.named_parameters())
    a, b = (next(p for name, p in named.items() if f"lora_{which}" in name) for which in "AB")
    nn.init.normal_(b, generator=torch.Generator().manual_seed(0))
    last = twin.segment(2, 3).eval()
    with torch.autocast("cpu", torch.bfloat16):
        last(tokens).hidden.float().square().sum().backward()
    assert a.grad is not None and a.grad.any() and b.grad is not None and b.grad.any()
    with torch.no_grad():
        trained = last(tokens).hidden
        assert recipe.merge(twin) == {"adapted_layers": 1}
        assert backbone.segment(2, 3).eval()(tokens).hidden.allclose(trained, atol=1e-6)
