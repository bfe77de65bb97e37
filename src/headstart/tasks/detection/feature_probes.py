"""Probes of frozen maps: what a head can reach on them, known before any is trained (Alain & Bengio 2016).

- Crop probe: the mean of each map within a true box, and a linear classifier of the boxes: its accuracy on held-out
  pictures is about what the classes of well placed boxes can have.
- Object probe of each map: a linear map of its cells that tells those with their middle in a box from the others; its
  ROC AUC on held-out pictures says at which stride objects can be seen.

Both are logistic regressions on standardised features, in folds that cut no picture or group, with 95 % intervals over
these. Boxes and cells are drawn where there are many. A box that the crop probe gives another class for certain is
likely to be labelled wrongly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torchvision.ops import roi_align

from headstart.numerics.bootstrap import Resamples, interval
from headstart.numerics.few_threads import few_threads
from headstart.tasks._reweighted import areas_above
from headstart.tasks.detection.boxes import CLASS, CROWD, FRAMED

FOLDS = 3
CROPS, CELLS = 3000, 12
"""Boxes that are looked at in all, and cells of each kind in every picture and map."""
BINS = 3
"""A crop is read in so many places along each side."""
SPREAD = 1.5
"""Variance of a logit before anything is learnt: each weight has this over the number of features, scikit-learn's C."""
RESAMPLES = 200
SURE = 0.8
"""Probability of another class from which a box is likely to be labelled wrongly."""


class Crops(NamedTuple):
    """True boxes as the maps show them."""

    features: np.ndarray
    """(boxes, channels of all maps)"""
    label: np.ndarray
    """(boxes,) int64"""
    row: np.ndarray
    """(boxes,) int64: the example of each."""
    place: np.ndarray
    """(boxes,) int64: its number within the example."""


class Cells(NamedTuple):
    """Cells of one map."""

    features: np.ndarray
    """(cells, channels)"""
    inside: np.ndarray
    """(cells,) bool: whether its middle lies in a box."""
    row: np.ndarray
    """(cells,) int64: the example of each."""


class Probed(NamedTuple):
    """A figure on held-out pictures with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int


def crops_of(maps: Sequence[Tensor], side: int, boxes: Tensor, rows: Sequence[int]) -> Crops:
    """The true boxes of a batch: `boxes` is (batch, boxes, 10), `rows` are its examples, `side` pixels of the frame."""
    picture, place = torch.nonzero(boxes[..., CROWD] == 0, as_tuple=True)
    true = boxes[picture, place].float()
    where = torch.cat([picture[:, None].float(), true[:, FRAMED]], dim=1)
    found = [
        roi_align(level.float(), where, BINS, level.shape[-1] / side, aligned=True).mean((2, 3)).cpu().numpy()
        for level in maps
    ]
    numbers = np.asarray(rows, np.int64)[picture.numpy()]
    return Crops(np.concatenate(found, axis=1), true[:, CLASS].long().numpy(), numbers, place.numpy())


def cells_of(level: Tensor, side: int, boxes: Tensor, rows: Sequence[int], draws: np.random.Generator) -> Cells:
    """Some cells of one map of a batch (batch, channels, height, width), inside of boxes and outside."""
    height, width = level.shape[2:]
    down, across = ((torch.arange(count) + 0.5) * (side / count) for count in (height, width))
    left, top, right, bottom = (boxes[:, :, k, None] for k in range(4))
    rows_in, columns_in = (down > top) & (down < bottom), (across > left) & (across < right)
    inside = (rows_in[..., None] & columns_in[..., None, :]).any(dim=1).flatten(1).numpy()
    flat = level.float().flatten(2).transpose(1, 2).cpu().numpy()
    features, kinds, owners = [], [], []
    for vectors, within, row in zip(flat, inside, rows):
        for kind in (True, False):
            possible = np.flatnonzero(within == kind)
            chosen = draws.choice(possible, min(CELLS, len(possible)), replace=False)
            features.append(vectors[chosen])
            kinds.append(np.full(len(chosen), kind))
            owners.append(np.full(len(chosen), row))
    return Cells(np.concatenate(features), np.concatenate(kinds), np.concatenate(owners))


def drawn(crops: Crops, draws: np.random.Generator) -> Crops:
    """At most `CROPS` of them."""
    if len(crops.label) <= CROPS:
        return crops
    chosen = np.sort(draws.choice(len(crops.label), CROPS, replace=False))
    return Crops(*(values[chosen] for values in crops))


def held_out(features: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> np.ndarray | None:
    """Probabilities (examples, labels there are, ascending) by probes that have not seen the group; None where a fold
    has a single label, or groups are too few."""
    if len(np.unique(groups)) < FOLDS:
        return None
    names = np.unique(labels)
    found = np.zeros((len(labels), len(names)))
    for rest, held in GroupKFold(FOLDS).split(features, labels, groups):
        if len(np.unique(labels[rest])) < 2:
            return None
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=SPREAD / features.shape[1], max_iter=300))
        with few_threads(features):
            probe.fit(features[rest], labels[rest])
        found[np.ix_(held, np.searchsorted(names, probe.classes_))] = probe.predict_proba(features[held])
    return found


def accuracy(right: np.ndarray, groups: np.ndarray, seed: int) -> Probed:
    """The share of what is right (examples,), with an interval over groups."""
    drawn = Resamples(len(right), groups, seed, RESAMPLES)
    (replicates,) = drawn.of(lambda weights: weights @ right / weights.sum(axis=1))
    low, high = interval(replicates, float(right.mean()), drawn.independent, (0.0, 1.0))
    return Probed(float(right.mean()), low, high, drawn.independent)


def area(inside: np.ndarray, scores: np.ndarray, groups: np.ndarray, seed: int) -> Probed:
    """ROC AUC of scores (examples,), with an interval over groups."""
    drawn = Resamples(len(inside), groups, seed, RESAMPLES)

    of_weights = areas_above(inside, scores)
    (replicates,) = drawn.of(lambda weights: of_weights(np.ascontiguousarray(weights.T)))
    value = float(roc_auc_score(inside, scores))
    low, high = interval(replicates, value, drawn.independent, (0.0, 1.0))
    return Probed(value, low, high, drawn.independent)


def swapped(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The boxes (found,) that are likely to have another class, the surest first."""
    names = np.unique(labels)
    best = probabilities.argmax(axis=1)
    wrong = np.flatnonzero((names[best] != labels) & (probabilities.max(axis=1) >= SURE))
    return wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")]
