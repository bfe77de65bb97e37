"""k nearest neighbours: the share of held-out examples whose nearest neighbours have their class.

Needs no training and no assumption about features, and ranked backbones better than 23 transferability scores in 42,000
experiments (Sorkhei et al. 2025, arXiv 2503.18528). Held out are folds that cut no group, not single examples.
"""

from __future__ import annotations

import numpy as np
import torch

from headstart.contracts.metric import SHARE
from headstart.contracts.score import LabelledFeatures, Score
from headstart.contracts.task import BoundTask
from headstart.contracts.task_capabilities import Sampled, one_class_each
from headstart.numerics.neighbours import knn_classes


class Knn(Score):
    """Accuracy of k nearest neighbours."""

    title = "k-NN"
    unit = SHARE

    @classmethod
    def suits(cls, task: BoundTask) -> bool:
        """Where each example, token or pixel has one class."""
        return one_class_each(task) or isinstance(task, Sampled)

    def score(self, data: LabelledFeatures) -> float:
        """Return the share of held-out examples whose class their neighbours name, in [0, 1]."""
        features, labels = torch.from_numpy(data.features), torch.from_numpy(data.targets["label"])
        right = np.zeros(len(features), dtype=bool)
        for fold in data.folds:
            found = knn_classes(features[fold.rest], labels[fold.rest], features[fold.held])
            right[fold.held] = (found == labels[fold.held]).numpy()
        return float(right.mean())
