"""Every score: higher where features tell the classes apart, finite where data are odd, and the same each time."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
from plugins import every, sample

from headstart.contracts.score import LabelledFeatures

N, WIDTH = 60, 8


class Fold(NamedTuple):
    rest: np.ndarray
    held: np.ndarray


def _data(apart: float, width: int = WIDTH, classes: int = 3) -> LabelledFeatures:
    draws = np.random.default_rng(0)
    labels = np.arange(N) % classes
    features = draws.normal(size=(N, width)) + apart * draws.normal(size=(classes, width))[labels]
    parts = np.array_split(draws.permutation(N), 5)
    folds = [Fold(np.setdiff1d(np.arange(N), part), np.sort(part)) for part in parts]
    return LabelledFeatures(features.astype(np.float32), {"label": labels}, folds)


@every("scores")
def test_features_that_tell_the_classes_apart_score_higher(name: str) -> None:
    score = sample("scores", name)
    found = [score.score(_data(apart)) for apart in (0.0, 1.0, 4.0)]
    assert found == sorted(found) and found[0] < found[2]


@every("scores")
def test_equal_data_have_equal_scores(name: str) -> None:
    score = sample("scores", name)
    assert score.score(_data(1.0)) == score.score(_data(1.0))


@every("scores")
@pytest.mark.parametrize("what", ["wide", "constant", "one example in a class", "twice the same column"])
def test_odd_data_have_a_finite_score(name: str, what: str) -> None:
    data = _data(1.0, width=200 if what == "wide" else WIDTH)
    if what == "constant":
        data = data._replace(features=np.ones_like(data.features))
    if what == "one example in a class":
        labels = np.zeros(N, np.int64)
        labels[0] = 1
        data = data._replace(targets={"label": labels})
    if what == "twice the same column":
        data = data._replace(features=np.concatenate([data.features, data.features], axis=1))
    assert math.isfinite(sample("scores", name).score(data))
