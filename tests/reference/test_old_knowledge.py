"""Objectives that keep or use what a backbone knew, against their formulas written out longhand, gradients included."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from headstart.contracts.backbone import SOURCE_HEAD
from headstart.contracts.carriers import Batch, State
from headstart.contracts.features import Features
from headstart.contracts.objective import KEPT, Objective, Step
from headstart.objectives.bss import BSS
from headstart.objectives.co_tuning import CoTuning
from headstart.objectives.delta import Delta
from headstart.objectives.lwf import LwF
from headstart.objectives.rehearsal import Rehearsal
from tiny_backbone import TinyBackbone

LABELS, WIDTH, CLASSES, OLD = [0, 1, 1, 0, 1], 4, 2, 3


class Setting:
    """A convolution that has moved away from where it began, the new head, and the old one."""

    def __init__(self, objective: Objective) -> None:
        torch.manual_seed(0)
        self.conv, self.head = nn.Conv2d(2, WIDTH, 2).double(), nn.Linear(WIDTH, CLASSES).double()
        backbone = TinyBackbone()
        backbone.width, backbone.source_head = WIDTH, nn.Linear(WIDTH, OLD).double()
        given = {**objective.additions(backbone), **objective.beside_head(WIDTH, CLASSES)}
        self.additions = nn.ModuleDict({**given, **objective.between(backbone, CLASSES)}).double()
        named = {f"backbone.{name}": p for name, p in self.conv.named_parameters()}
        named |= {f"heads.head.{name}": p for name, p in self.head.named_parameters()}
        self.start = {name: p.detach().clone() for name, p in named.items()}
        with torch.no_grad():
            for p in (*named.values(), *(p for p in self.additions.parameters() if p.requires_grad)):
                p.add_(0.3 * torch.randn_like(p))
        self.reached = [*named.values(), *(p for p in self.additions.parameters() if p.requires_grad)]
        self.new, self.old = (
            Batch(State(torch.randn(len(labels), 2, 3, 3).double()), {"label": torch.tensor(labels)}, torch.arange(5))
            for labels in (LABELS, [2, 0, 1, 2, 2])
        )
        self.step = Step(
            {"source": self.new, KEPT: self.old},
            lambda batch: self.features(self.conv(batch.state.hidden)),
            backbone,
            lambda features, _: {"logits": self.head(features.pooled)},
            lambda outputs, batch: {"ce": nn.functional.cross_entropy(outputs["logits"], batch.targets["label"])},
            self.additions,
            0.0,
            named,
            self.start,
        )

    @staticmethod
    def features(maps: Tensor) -> Features:
        return Features(maps.mean((2, 3)), maps=(maps,))

    def maps(self, batch: Batch, *, first: bool = False) -> Tensor:
        weight, bias = (self.start[f"backbone.{name}"] for name in ("weight", "bias"))
        values = (weight, bias) if first else (self.conv.weight, self.conv.bias)
        return nn.functional.conv2d(batch.state.hidden, *values)  # type: ignore[arg-type]

    def task(self) -> Tensor:
        logits = self.head(self.maps(self.new).mean((2, 3)))
        return torch.stack([-logits[n].log_softmax(0)[label] for n, label in enumerate(LABELS)]).mean()


def of_bss(setting: Setting) -> Tensor:
    """The eigenvalues of F F^T are the squares of the singular values."""
    features = setting.maps(setting.new).mean((2, 3))
    return 0.2 * torch.linalg.eigvalsh(features.T @ features)[:2].sum()


def of_delta(setting: Setting) -> Tensor:
    now, before = setting.maps(setting.new), setting.maps(setting.new, first=True)
    growth = setting.additions["running"].get_buffer("growth")
    attention = growth.exp() / growth.exp().sum()
    total = torch.zeros((), dtype=torch.float64)
    for n in range(5):
        for c in range(WIDTH):
            total = total + WIDTH * attention[c] * ((now[n, c] - before[n, c]) ** 2).sum() / 4
    norm = (setting.head.weight**2).sum() + (setting.head.bias**2).sum()
    return 0.7 / 2 * total / 5 + 0.1 / 2 * norm


def of_lwf(setting: Setting) -> Tensor:
    old = setting.additions["old_head"](setting.maps(setting.new, first=True).mean((2, 3))).detach()
    now = setting.additions[SOURCE_HEAD](setting.maps(setting.new).mean((2, 3)))
    total = torch.zeros((), dtype=torch.float64)
    for n in range(5):
        p, q = (torch.exp(one[n] / 3) / torch.exp(one[n] / 3).sum() for one in (old, now))
        total = total + (p * (p / q).log()).sum()
    return 1.5 * 9 * total / 5


def of_rehearsal(setting: Setting) -> Tensor:
    logits = setting.additions[SOURCE_HEAD](setting.maps(setting.old).mean((2, 3)))
    labels = setting.old.targets["label"].tolist()
    return 0.8 * torch.stack([-logits[n].log_softmax(0)[label] for n, label in enumerate(labels)]).mean()


def of_co_tuning(setting: Setting) -> Tensor:
    before = setting.additions["old_head"](setting.maps(setting.new, first=True).mean((2, 3))).softmax(1).detach()
    now = setting.additions[SOURCE_HEAD](setting.maps(setting.new).mean((2, 3))).log_softmax(1)
    total = torch.zeros((), dtype=torch.float64)
    for n, label in enumerate(LABELS):
        alike = [before[m] for m, other in enumerate(LABELS) if other == label]
        total = total - (sum(alike) / len(alike) * now[n]).sum()
    return 2.3 * total / 5


CASES: list[tuple[Objective, Callable[[Setting], Tensor]]] = [
    (BSS(weight=0.2, count=2), of_bss),
    (Delta(alpha=0.7, beta=0.1), of_delta),
    (LwF(weight=1.5, temperature=3.0), of_lwf),
    (Rehearsal(weight=0.8), of_rehearsal),
    (CoTuning(), of_co_tuning),
]


@pytest.mark.parametrize(("objective", "longhand"), CASES, ids=lambda one: getattr(one, "__name__", ""))
def test_value_and_gradients_are_those_of_the_formula(objective: Objective, longhand: Any) -> None:
    setting = Setting(objective)
    if isinstance(objective, Delta):
        setting.additions["running"].get_buffer("growth").copy_(torch.tensor([0.5, -1.0, 0.2, 0.0]))
    found = torch.stack(list(objective.losses(setting.step).values())).sum()
    expected = setting.task() + longhand(setting)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    mine, theirs = (torch.autograd.grad(loss, setting.reached, allow_unused=True) for loss in (found, expected))
    for one, other in zip(mine, theirs, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-9)


def test_the_growth_of_the_loss_without_a_channel_is_followed_to_first_order() -> None:
    objective = Delta(momentum=0.75)
    setting = Setting(objective)
    objective.losses(setting.step)
    objective.after_step(setting.step)
    pooled = setting.maps(setting.new, first=True).mean((2, 3)).detach()

    def loss(values: Tensor) -> float:
        return nn.functional.cross_entropy(setting.head(values), setting.new.targets["label"]).item()

    small = 1e-6
    for c in range(WIDTH):
        fewer = pooled.clone()
        fewer[:, c] *= 1 - small
        grown = (loss(fewer) - loss(pooled)) / small
        assert setting.additions["running"].get_buffer("growth")[c] == pytest.approx(0.25 * grown, abs=1e-5)


def test_the_relation_of_classes_is_summed_over_batches() -> None:
    setting, objective = Setting(CoTuning()), CoTuning()
    first, second = (
        setting.step,
        replace(setting.step, batches={"source": replace(setting.old, targets=setting.new.targets)}),
    )
    for step in (first, second):
        objective.losses(step)
        objective.after_step(step)
    both = torch.cat([setting.maps(batch, first=True).mean((2, 3)) for batch in (setting.new, setting.old)])
    shares = setting.additions["old_head"](both).softmax(1)
    labels = torch.tensor(LABELS * 2)
    running = setting.additions["running"]
    assert running.get_buffer("counts").tolist() == [4, 6]
    for k in range(CLASSES):
        torch.testing.assert_close(running.get_buffer("sums")[k], shares[labels == k].sum(0))


def test_the_live_weights_and_modes_are_as_they_were_after_the_pass_with_the_first_ones() -> None:
    setting, objective = Setting(LwF()), LwF()
    before = [p.detach().clone() for p in setting.reached]
    setting.step.backbone.module.train()
    objective.losses(setting.step)
    assert all(torch.equal(one, p) for one, p in zip(before, setting.reached))
    assert all(module.training for module in setting.step.backbone.module.modules())
