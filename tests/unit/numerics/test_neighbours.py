"""k-NN classes against scikit-learn's, and where the nearest outvote the many."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.neighbors import KNeighborsClassifier

from headstart.numerics.neighbours import TEMPERATURE, knn_classes


def test_it_is_the_weighted_vote_of_the_nearest_by_cosine() -> None:
    draws = np.random.default_rng(0)
    known, asked, classes = draws.normal(size=(90, 5)), draws.normal(size=(40, 5)), np.arange(90) % 3
    unit = known / np.linalg.norm(known, axis=1, keepdims=True)
    head_inputs = asked / np.linalg.norm(asked, axis=1, keepdims=True)
    theirs = KNeighborsClassifier(20, weights=lambda d: np.exp((1 - d**2 / 2) / TEMPERATURE)).fit(unit, classes)
    found = knn_classes(torch.tensor(known), torch.tensor(classes), torch.tensor(asked) * 7)
    assert found.tolist() == theirs.predict(head_inputs).tolist()


def test_of_few_examples_only_as_many_vote_as_a_class_has() -> None:
    known, classes = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), torch.tensor([0, 1])
    assert knn_classes(known, classes, torch.tensor([[2.0, 0.1], [-3.0, 0.1]])).tolist() == [0, 1]
