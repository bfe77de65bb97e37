"""The contrastive objective against its formula written out longhand, gradients included, and where it is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from headstart.contracts.advice import DataFacts
from headstart.contracts.carriers import Batch, Mixed, State
from headstart.contracts.features import Features
from headstart.contracts.objective import Step
from headstart.objectives.contrastive import Contrastive
from headstart.objectives.supervised import Supervised
from tiny_backbone import TinyBackbone

LABELS, OTHERS, SHARE = [0, 1, 1, 0, 2], [1, 1, 0, 2, 2], 0.7


def step_of(labels: list[int], mixed: Mixed | None = None) -> tuple[Step, nn.Linear]:
    torch.manual_seed(0)
    backbone, head = nn.Linear(3, 4).double(), nn.Linear(4, 3).double()
    state = State(torch.randn(len(labels), 3).double())
    batch = Batch(state, {"label": torch.tensor(labels)}, torch.arange(len(labels)), mixed=mixed)
    step = Step(
        {"source": batch},
        lambda given: Features(backbone(given.state.hidden).tanh()),
        TinyBackbone(),
        lambda features, _: {"logits": head(features.pooled)},
        lambda outputs, given: {"ce": nn.functional.cross_entropy(outputs["logits"], given.targets["label"])},
        nn.ModuleDict(),
        0.0,
    )
    return step, backbone


def longhand(features: Tensor, same: Any) -> Tensor:
    """The mean over pairs i < j of (s_ij - y_ij)^2."""
    terms = []
    for i in range(len(features)):
        for j in range(i + 1, len(features)):
            one, other = features[i], features[j]
            similarity = (one * other).sum() / ((one * one).sum().sqrt() * (other * other).sum().sqrt())
            terms.append((similarity - same(i, j)) ** 2)
    return torch.stack(terms).mean()


def test_value_and_gradients_are_those_of_the_formula() -> None:
    step, backbone = step_of(LABELS)
    found = Contrastive(weight=0.4).losses(step)
    features = step.features(step.batches["source"]).pooled
    expected = 0.4 * longhand(features, lambda i, j: float(LABELS[i] == LABELS[j]))
    assert found.keys() == {"ce", "pairs"}
    assert torch.equal(found["ce"], Supervised().losses(step)["ce"])
    assert found["pairs"].item() == pytest.approx(expected.item(), rel=1e-6)
    mine, theirs = (torch.autograd.grad(loss, list(backbone.parameters())) for loss in (found["pairs"], expected))
    for one, other in zip(mine, theirs):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-9)


def test_mixed_examples_are_alike_by_the_classes_they_share() -> None:
    step, _ = step_of(LABELS, Mixed({"label": torch.tensor(OTHERS)}, SHARE))

    def same(i: int, j: int) -> float:
        one, other = (((LABELS[k], SHARE), (OTHERS[k], 1 - SHARE)) for k in (i, j))
        return sum(a * b for x, a in one for y, b in other if x == y)

    features = step.features(step.batches["source"]).pooled
    expected = longhand(features, same)
    assert Contrastive().losses(step)["pairs"].item() == pytest.approx(expected.item(), rel=1e-6)


def test_a_single_example_has_no_pairs() -> None:
    assert Contrastive().losses(step_of([1])[0])["pairs"].item() == 0.0


def test_a_search_tries_it_on_few_texts_of_one_class_each() -> None:
    few = DataFacts(64, 7, linear=True, attention=True, tokens=True, one_class=True)
    (suggestion,) = Contrastive.advice.tries(few)
    assert "pairs of few labelled texts" in suggestion.reason
    others = (
        DataFacts(64, 7, linear=True, attention=True, tokens=False, one_class=True),
        DataFacts(64, 7, linear=True, attention=True, tokens=True, one_class=False),
        DataFacts(301, 7, linear=True, attention=True, tokens=True, one_class=True),
    )
    assert not any(Contrastive.advice.tries(one) for one in others)
    assert Supervised.advice.tries(few) == ()
