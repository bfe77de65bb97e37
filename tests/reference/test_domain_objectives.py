"""Objectives of two domains against their papers' formulas written out entry by entry: values and gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from domain_steps import CLASSES, WIDTH, Rows, rows, step_on
from headstart.contracts.objective import TARGET
from headstart.objectives import cdan as cdan_module
from headstart.objectives.cdan import CDAN
from headstart.objectives.coral import Coral
from headstart.objectives.dann import DANN
from headstart.objectives.mcc import MCC
from headstart.objectives.mmd import MMD
from headstart.objectives.self_training import SelfTraining
from headstart.objectives.shot import SHOT

Vectors = Sequence[Sequence[Tensor]]


def entries(matrix: Tensor) -> list[list[Tensor]]:
    return [[matrix[i, j] for j in range(matrix.shape[1])] for i in range(matrix.shape[0])]


def softmax(logits: Sequence[Tensor]) -> list[Tensor]:
    total = sum(z.exp() for z in logits)
    return [z.exp() / total for z in logits]


def entropy(p: Sequence[Tensor]) -> Any:
    return -sum(q * q.log() for q in p)


def task_loss(given: Rows) -> Any:
    logits = entries(given.logits(given.source))
    return -sum(softmax(z)[label].log() for z, label in zip(logits, given.labels.tolist())) / len(logits)


def mcc(given: Rows, objective: MCC) -> Any:
    p = [softmax([z / objective.temperature for z in row]) for row in entries(given.logits(given.target))]
    sure = [1 + (-entropy(row)).exp().detach() for row in p]
    w = [len(p) * s / sum(sure) for s in sure]
    c = [[sum(w[i] * p[i][j] * p[i][k] for i in range(len(p))) for k in range(CLASSES)] for j in range(CLASSES)]
    off = [c[j][k] / sum(c[j]) for j in range(CLASSES) for k in range(CLASSES) if j != k]
    return objective.weight * sum(off) / CLASSES


def coral(given: Rows, objective: Coral) -> Any:
    def covariance(x: Vectors, j: int, k: int) -> Any:
        means = [sum(row[a] for row in x) / len(x) for a in (j, k)]
        return sum((row[j] - means[0]) * (row[k] - means[1]) for row in x) / (len(x) - 1)

    s, t = entries(given.source), entries(given.target)
    pairs = [(j, k) for j in range(WIDTH) for k in range(WIDTH)]
    squares = sum((covariance(s, j, k) - covariance(t, j, k)) ** 2 for j, k in pairs)
    return objective.weight * squares / (4 * WIDTH**2)


def mmd(given: Rows, objective: MMD) -> Any:
    def squared(x: Sequence[Tensor], y: Sequence[Tensor]) -> Any:
        return sum((a - b) ** 2 for a, b in zip(x, y))

    s, t = entries(given.source), entries(given.target)
    joint = s + t
    apart = [squared(x, y) for i, x in enumerate(joint) for j, y in enumerate(joint) if i != j]
    usual = (sum(apart) / len(apart)).detach()

    def k(x: Sequence[Tensor], y: Sequence[Tensor]) -> Any:
        each = [(-squared(x, y) / (2 * 2.0**m * usual)).exp() for m in objective.bandwidths]
        return sum(each) / len(each)

    def within(x: Vectors) -> Any:
        return sum(k(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j) / (len(x) * (len(x) - 1))

    between = sum(k(x, y) for x in s for y in t) / (len(s) * len(t))
    return objective.weight * (within(s) + within(t) - 2 * between)


LONGHAND: dict[str, tuple[Any, Callable[..., Any]]] = {
    "mcc": (MCC(weight=1.7, temperature=2.0), mcc),
    "coral": (Coral(weight=20.0), coral),
    "mmd": (MMD(weight=3.0, bandwidths=(-2, 0, 1)), mmd),
}


@pytest.mark.parametrize("name", LONGHAND)
def test_loss_and_gradients_are_those_of_the_formula(name: str) -> None:
    objective, formula = LONGHAND[name]
    given = rows()
    found = sum(objective.losses(step_on(objective, given)).values())
    expected = task_loss(given) + formula(given, objective)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=0)
    gradients = torch.autograd.grad(expected, given.leaves())
    torch.testing.assert_close(torch.autograd.grad(found, given.leaves()), gradients, rtol=1e-8, atol=1e-10)


def judged(additions: Any, features: Tensor, given: Rows, objective: Any) -> tuple[list[Tensor], list[Any]]:
    """The discriminator's probabilities of the source, and the examples' weights, longhand."""
    inputs, weights = features, [torch.ones((), dtype=torch.float64)] * len(features)
    if isinstance(objective, CDAN):
        p = torch.stack([torch.stack(softmax(z)) for z in given.logits(features)]).detach()
        weights = [1 + (-entropy(row)).exp() for row in p]
        if hasattr(additions["products"], "of_features"):
            r, q = additions["products"].of_features, additions["products"].of_classes
            inputs = torch.stack([(r.T @ f) * (q.T @ g) / math.sqrt(r.shape[1]) for f, g in zip(features, p)])
        else:
            inputs = torch.stack([torch.stack([a * b for a in f for b in g]) for f, g in zip(features, p)])
    logits = [additions["discriminator"](one[None])[0, 0] for one in inputs]
    return [1 / (1 + (-z).exp()) for z in logits], weights


@pytest.mark.parametrize("projected", [False, True])
@pytest.mark.parametrize("objective", [DANN(weight=0.7, hidden=6), CDAN(weight=0.7, hidden=6, projected=5)])
def test_the_discriminator_descends_and_the_features_ascend_its_loss(
    objective: Any, projected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cdan_module, "MOST_PRODUCTS", 0 if projected else 4096)
    given, progress = rows(), 0.2
    step = step_on(objective, given, progress)
    found = sum(objective.losses(step).values())
    (of_source, ws), (of_target, wt) = (
        judged(step.additions, x, given, objective) for x in (given.source, given.target)
    )
    missed_source = sum(w * -p.log() for w, p in zip(ws, of_source)) / sum(ws)
    missed_target = sum(w * -(1 - p).log() for w, p in zip(wt, of_target)) / sum(wt)
    domains, task = objective.weight * (missed_source + missed_target) / 2, task_loss(given)
    torch.testing.assert_close(found, task + domains, rtol=1e-10, atol=0)
    critic = list(step.additions["discriminator"].parameters())
    gradients = torch.autograd.grad(found, [*given.leaves(), *critic])
    own = torch.autograd.grad(domains, [given.source, given.target, *critic], retain_graph=True)
    strength = 2 / (1 + math.exp(-10 * progress)) - 1
    of_task = torch.autograd.grad(task, [given.source, given.weight])
    expected = [of_task[0] - strength * own[0], -strength * own[1], of_task[1], *own[2:]]
    torch.testing.assert_close(gradients, tuple(expected), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("objective", [DANN(), CDAN()])
def test_sure_logits_keep_a_finite_loss_and_gradient(objective: Any) -> None:
    given = rows()
    with torch.no_grad():
        given.weight.mul_(1e4)
    step = step_on(objective, given)
    step.additions["discriminator"][-1].weight.data.mul_(1e6)
    losses = objective.losses(step)
    gradients = torch.autograd.grad(losses["domains"], given.leaves()[:2])
    assert all(bool(torch.isfinite(value).all()) for value in (losses["domains"], *gradients))


def test_own_labels_are_the_surest_of_each_class_against_moving_thresholds() -> None:
    objective, progress = SelfTraining(weight=2.0, first=0.3, last=0.6, momentum=0.75), 0.5
    share, thresholds, given = 0.45, {}, rows(targets=11)
    step = step_on(objective, given, progress)
    for shift in (0.0, 0.3):
        moved = Rows(given.source, (given.target + shift).detach().requires_grad_(), given.weight, given.labels)
        at = step_on(objective, moved, progress)
        at.additions.load_state_dict(step.additions.state_dict())
        step = at
        losses = objective.losses(step)
        p = [softmax(z) for z in entries(moved.logits(moved.target))]
        for k in range(CLASSES):
            sure = sorted(float(max(row).detach()) for row in p if max(row) == row[k])
            if sure:
                found = sure[math.floor((1 - share) * (len(sure) - 1))]
                thresholds[k] = 0.75 * thresholds[k] + 0.25 * found if k in thresholds else found
        ratios = [[float(q.detach()) / thresholds.get(k, 1.0) for k, q in enumerate(row)] for row in p]
        labelled = [(row, r.index(max(r))) for row, r in zip(p, ratios) if max(r) > 1]
        expected = 2.0 * share / 0.6 * -sum(row[label].log() for row, label in labelled) / len(p)
        torch.testing.assert_close(losses["own_labels"], expected, rtol=1e-6, atol=0)
        gradients = torch.autograd.grad(expected, [moved.target, given.weight])
        of_ours = torch.autograd.grad(losses["own_labels"], [moved.target, given.weight])
        torch.testing.assert_close(of_ours, gradients, rtol=1e-6, atol=1e-9)
        objective.after_step(step)
    assert 0 < len(labelled) < len(p)


def nearest(features: Vectors, shares: Vectors, sums: Any, counts: Any) -> list[int]:
    """The class of the closest centroid for each of the features."""
    found = []
    centroids = {}
    for k in range(CLASSES):
        count = counts[k] + sum(float(row[k].detach()) for row in shares)
        total = [
            sums[k][j] + sum(float((s[k] * f[j]).detach()) for s, f in zip(shares, features)) for j in range(WIDTH)
        ]
        if count:
            centroids[k] = [value / count for value in total]
    for f in features:
        cosines = {
            k: sum(float(a) * b for a, b in zip(f, c)) / math.hypot(*map(float, f)) / math.hypot(*c)
            for k, c in centroids.items()
        }
        found.append(max(cosines, key=lambda k: cosines[k]))
    return found


def test_shot_is_the_task_alone_and_then_information_and_centroids_with_the_head_held_still() -> None:
    objective, given = SHOT(weight=0.4, begin=0.5, momentum=0.5), rows(targets=9)
    early = objective.losses(step_on(objective, given, 0.49))
    assert list(early) == ["task"]
    torch.testing.assert_close(early["task"], task_loss(given), rtol=1e-10, atol=0)
    still = Rows(given.source, given.target.detach(), given.weight, given.labels)
    assert list(objective.losses(step_on(objective, still, 0.5))) == ["task"], "no feature moves yet"
    step = step_on(objective, given, 0.5)
    features, p = entries(given.target), [softmax(z) for z in entries(given.logits(given.target))]
    sums, counts = [[0.0] * WIDTH for _ in range(CLASSES)], [0.0] * CLASSES
    for _ in range(2):
        losses = objective.losses(step)
        labels = nearest(features, p, sums, counts)
        hard = [[torch.tensor(float(k == label)) for k in range(CLASSES)] for label in labels]
        final = nearest(features, hard, sums, counts)
        mean = [sum(row[k] for row in p) / len(p) for k in range(CLASSES)]
        terms = {
            "uncertainty": sum(entropy(row) for row in p) / len(p),
            "sameness": -entropy(mean),
            "own_labels": -0.4 * sum(row[label].log() for row, label in zip(p, final)) / len(p),
        }
        torch.testing.assert_close(losses, terms, rtol=1e-6, atol=1e-9)
        total, wanted = sum(losses.values()), sum(terms.values())
        gradient = torch.autograd.grad(total, [given.target], retain_graph=True)
        torch.testing.assert_close(gradient, torch.autograd.grad(wanted, [given.target], retain_graph=True))
        assert torch.autograd.grad(total, [given.weight], allow_unused=True) == (None,)
        assert given.weight.requires_grad
        objective.after_step(step)
        for k in range(CLASSES):
            members = [f for f, label in zip(features, labels) if label == k]
            sums[k] = [0.5 * (sums[k][j] + sum(float(f[j]) for f in members)) for j in range(WIDTH)]
            counts[k] = 0.5 * (counts[k] + len(members))


class Sealed(dict[str, Tensor]):
    """Targets that nobody may read."""

    def __getitem__(self, name: str) -> Tensor:
        raise AssertionError("a target's label was read")


@pytest.mark.parametrize("objective", [MCC(), Coral(), MMD(), DANN(), CDAN(), SelfTraining(), SHOT()])
def test_labels_of_the_target_are_not_looked_at(objective: Any) -> None:
    given = rows()
    step = step_on(objective, given, 0.8)
    sealed = replace(step.batches[TARGET], targets=Sealed(label=given.labels))
    found = objective.losses(replace(step, batches={**step.batches, TARGET: sealed}))
    torch.testing.assert_close(found, objective.losses(step_on(objective, given, 0.8)))
