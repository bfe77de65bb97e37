"""Held-out predictions of a linear probe for tokens or pixels, and how they are judged: by their balanced accuracy.

A stage of a backbone is judged at single positions, as tags and masks made of them would also judge the decoding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.metrics import recall_score

from headstart.contracts.metric import SHARE, Metric, Replicates
from headstart.contracts.prediction import Prediction
from headstart.contracts.task import Targets
from headstart.contracts.task_capabilities import Sampled
from headstart.engine.solved.solve import solve_head
from headstart.evidence.folds import Fold

TRUTH = FOUND = "class"
"""Column of targets and predictions."""


def held_out_classes(
    task: Sampled, vectors: np.ndarray, targets: Targets, folds: Sequence[Fold], groups: np.ndarray, seed: int
) -> Prediction:
    """Predict the class of each position (samples,) by a head that was solved without its fold.

    Args:
        task: its `samples` are predicted.
        vectors: (samples, width) float32.
        targets: of the samples. folds: of the samples.
        groups: (samples,) what is held out together. seed: of folds and draws.
    """
    found = np.empty(len(vectors), np.int64)
    for fold in folds:
        known = {name: values[fold.rest] for name, values in targets.items()}
        head, _ = solve_head(task, vectors[fold.rest], known, groups[fold.rest], seed)
        weight, bias = (head.get_parameter(name).detach().numpy() for name in ("weight", "bias"))
        found[fold.held] = (vectors[fold.held] @ weight.T + bias).argmax(axis=1)
    return Prediction({FOUND: found})


def metric_of_positions(noun: str) -> Metric:
    """The mean over classes of the share of their positions that are found; `noun` is what these are called."""
    return Metric("positions", f"Balanced accuracy of {noun}", True, _score, _replicates, unit=SHARE, bounds=(0.0, 1.0))


def _score(targets: Mapping[str, np.ndarray], prediction: Prediction) -> float:
    truth = targets[TRUTH]
    return float(recall_score(truth, prediction.columns[FOUND], labels=np.unique(truth), average="macro"))


def _replicates(targets: Mapping[str, np.ndarray], prediction: Prediction) -> Replicates:
    truth = targets[TRUTH]
    right = truth == prediction.columns[FOUND]
    rows = [np.flatnonzero(truth == one) for one in np.unique(truth)]

    def replicates(weights: np.ndarray) -> np.ndarray:
        totals = np.stack([weights[:, some].sum(axis=1) for some in rows])
        hits = np.stack([weights[:, some] @ right[some] for some in rows])
        with np.errstate(invalid="ignore"):
            return np.nanmean(np.where(totals > 0, hits / totals, np.nan), axis=0)

    return replicates
