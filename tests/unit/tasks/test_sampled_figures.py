"""Figures among a few negatives are of drawn items alone, repeat by their seed, and bear a name of their own."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from headstart.contracts.features import Features
from headstart.contracts.prediction import Prediction
from headstart.contracts.targets import collated
from headstart.tasks.recommendation.task import BoundRecommendation, Recommendation
from interaction_tables import histories

ITEMS, NEGATIVES = 40, 7
USERS = histories(30)
SCORES = torch.from_numpy(np.random.default_rng(0).normal(size=(30, ITEMS)).astype(np.float32))


def bound(**settings: int) -> BoundRecommendation:
    names = tuple(f"item {n}" for n in range(ITEMS))
    task = Recommendation(negatives=NEGATIVES, **settings)  # type: ignore[arg-type]
    return BoundRecommendation(settings=task, items=names, counts=(1,) * ITEMS, users=30)


def predicted(task: BoundRecommendation, batch: int = 30) -> Prediction:
    inputs, parts = task.inputs(USERS), []
    for start in range(0, 30, batch):
        rows = slice(start, start + batch)
        some = {name: collated(values[rows]) for name, values in inputs.items()}
        parts.append(task.predict(nn.Identity(), Features(SCORES[rows]), some))
    return Prediction.join(parts)


def test_each_relevant_item_is_ranked_among_the_negatives_alone() -> None:
    task = bound()
    targets, prediction, inputs = task.targets(USERS), predicted(task, batch=4), task.inputs(USERS)
    gains, found = [], []
    for row, (relevant, had) in enumerate(zip(targets["relevant"], inputs["had"])):
        candidates = inputs["candidates"][row]
        negatives = np.setdiff1d(candidates, relevant)
        assert len(negatives) == NEGATIVES and not {*candidates} & {*had} and {*relevant} <= {*candidates}
        places = [1 + int((SCORES[row, negatives] > SCORES[row, item]).sum()) for item in relevant]
        gains.append(np.mean([1 / math.log2(1 + place) * (place <= 3) for place in places]))
        found.append(np.mean([place <= 3 for place in places]))
    metrics = {metric.name: metric for metric in bound(k=3).evaluation.metrics}
    assert abs(metrics["sampled_ndcg@3"].score(targets, prediction) - np.mean(gains)) < 1e-12
    assert abs(metrics["sampled_recall@3"].score(targets, prediction) - np.mean(found)) < 1e-12
    assert metrics["sampled_recall@3"].score(targets, prediction) > metrics["recall@3"].score(targets, prediction)
    assert "among 7 negatives" in metrics["sampled_ndcg@3"].title


def test_negatives_follow_from_seed_and_user() -> None:
    one, again, other = (bound(negatives_seed=seed).inputs(USERS)["candidates"] for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, again))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other))
    few = bound(negatives_seed=1).inputs(USERS.take([5]))["candidates"]
    assert np.array_equal(few[0], one[5])


def test_nothing_is_sampled_unless_that_is_asked_for() -> None:
    plain = BoundRecommendation(settings=Recommendation(), items=bound().items, counts=(1,) * ITEMS, users=30)
    assert not any("sampled" in metric.name for metric in plain.evaluation.metrics)
    assert {*plain.inputs(USERS)} == {"had"}
