"""L2-regularised multinomial logistic regression whose regularisation is chosen by cross-validation.

    min over W, b of  sum_i w_i CE(W z_i + b, y_i) + ||W||^2 / (2 C),   z standardised features

C runs from strong to weak regularisation, each fit starting from the last, all folds in step; the C with the best mean
log likelihood of held-out examples wins, the stronger one in a tie. The likelihood is a far less noisy guide than the
share of right answers, which is why the path may end once it has fallen twice.

The same folds choose how features are scaled: each to variance 1, which wins where some features are large and say
nothing, or all by one number, which wins where the small ones are noise. Neither is right for all backbones.

With fewer examples than features the solution lies in the span of the examples, so that the problem is rotated to that
span: an L2 penalty does not see the rotation, the result is the same.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from scipy.special import log_softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from headstart.kernel.errors import DataError
from headstart.kernel.randomness import draw_seed
from headstart.numerics.standardisation import Standardisation, standardise

GRID = tuple(float(c) for c in np.logspace(-5, 2, 15))
"""Values of C, strongest regularisation first."""

FIXED = 0.01
"""C where nothing can be held out."""

FOLDS = 5
LARGE = 20_000
"""Examples above which one held-out fifth stands for all folds."""

HEAD_START = 3
"""Values of C before the first scaling's best at which the path of the second begins; both have mean variance 1."""

PATIENCE = 2
"""Values of C in a row without a better score that end the path."""

COARSE, FINE = 1e-3, 1e-4
"""Largest gradient at which a fit ends: while C is sought, and for the head that is kept."""

_Split = tuple[np.ndarray, np.ndarray]
"""Training rows and held-out rows."""


class Solution(NamedTuple):
    """A linear map on raw features and how it was chosen."""

    weight: np.ndarray
    """(classes, width)"""
    bias: np.ndarray
    """(classes,)"""
    C: float
    cv_score: float
    """Mean log likelihood of held-out examples; NaN without folds."""
    folds: int
    scaled_each: bool
    """True: every feature had variance 1; False: all were divided by one number."""


class _Candidate(NamedTuple):
    """The best found with one scaling."""

    score: float
    c: float
    folds: int
    each: bool
    standardisation: Standardisation
    rotated: np.ndarray
    back: np.ndarray | None


class _Fold:
    """One training part and its held-out part; each fit starts from the last one."""

    def __init__(
        self, features: np.ndarray, labels: np.ndarray, weights: np.ndarray, train: np.ndarray, held_out: np.ndarray
    ) -> None:
        held_out = held_out[np.isin(labels[held_out], labels[train])]
        self.train = features[train], labels[train], weights[train]
        self.held_out = features[held_out], labels[held_out], weights[held_out]
        self.model = LogisticRegression(tol=COARSE, max_iter=200, warm_start=True)

    @property
    def usable(self) -> bool:
        return len(np.unique(self.train[1])) > 1 and len(self.held_out[1]) > 0

    def log_likelihood(self, c: float) -> float:
        """The weighted sum over the held-out examples."""
        features, labels, weights = self.held_out
        _fit(self.model.set_params(C=c), *self.train)
        scores = self.model.decision_function(features).astype(np.float64)
        logits = np.stack([np.zeros_like(scores), scores], axis=1) if scores.ndim == 1 else scores
        truth = np.searchsorted(self.model.classes_, labels)
        return float(weights @ log_softmax(logits, axis=1)[np.arange(len(labels)), truth])


def solve_logistic(
    features: np.ndarray,
    labels: np.ndarray,
    classes: int,
    *,
    weights: np.ndarray | None,
    groups: np.ndarray | None,
    seed: int,
) -> Solution:
    """Fit features (examples, width) to labels (examples,) in [0, classes).

    Args:
        features: finite floats.
        labels: classes without an example are allowed; they end up with a small constant probability.
        classes: outputs of the map.
        weights: (examples,) of the loss; None for 1 each.
        groups: (examples,) what is held out together.
        seed: of the folds.

    Raises:
        DataError: all labels are the same.
    """
    if len(np.unique(labels)) < 2:
        raise DataError(f"all {len(labels)} training examples have the same class; at least two classes are needed")
    weights = np.ones(len(labels)) if weights is None else weights
    splits = _splits(labels, groups, seed)
    best = _candidate(features, labels, weights, splits, GRID, each=True)
    if best.folds:
        grid = GRID[max(GRID.index(best.c) - HEAD_START, 0) :]
        other = _candidate(features, labels, weights, splits, grid, each=False)
        best = other if other.score > best.score else best
    model = _fit(LogisticRegression(C=best.c, tol=FINE, max_iter=1000), best.rotated, labels, weights)
    weight, bias = _outputs(model, len(labels), classes)
    weight, bias = best.standardisation.fold(weight if best.back is None else weight @ best.back, bias)
    return Solution(weight, bias, best.c, best.score, best.folds, best.each)


def _candidate(
    features: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    splits: list[_Split],
    grid: tuple[float, ...],
    *,
    each: bool,
) -> _Candidate:
    standard, standardisation = standardise(features, each=each)
    rotated, back = _rotate(standard.astype(np.float32, copy=False))
    folds = [_Fold(rotated, labels, weights, *split) for split in splits]
    folds = [fold for fold in folds if fold.usable]
    c, score = _choose(folds, grid) if folds else (FIXED, float("nan"))
    return _Candidate(score, c, len(folds), each, standardisation, rotated, back)


def _splits(labels: np.ndarray, groups: np.ndarray | None, seed: int) -> list[_Split]:
    """The folds; none unless two classes have something to hold out."""
    units = np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1]
    spread = np.bincount(np.unique(np.stack([labels, units]), axis=1)[0])
    if (spread > 1).sum() < 2:
        return []
    grouped = len(np.unique(units)) < len(units)
    splitter = (StratifiedGroupKFold if grouped else StratifiedKFold)(
        min(FOLDS, int(spread.max())), shuffle=True, random_state=draw_seed(seed, "folds") % 2**32
    )
    with warnings.catch_warnings():  # a class smaller than the number of folds is in order here
        warnings.simplefilter("ignore", UserWarning)
        splits = list(splitter.split(labels, labels, units))
    return splits[:1] if len(labels) > LARGE else splits


def _choose(folds: list[_Fold], grid: tuple[float, ...]) -> tuple[float, float]:
    held_out = sum(float(fold.held_out[2].sum()) for fold in folds)
    best, best_score, since = grid[0], -np.inf, 0
    for c in grid:
        score = sum(fold.log_likelihood(c) for fold in folds) / held_out
        if score > best_score:
            best, best_score, since = c, score, 0
        else:
            since += 1
        if since == PATIENCE:
            break
    return best, best_score


def _fit(
    model: LogisticRegression, features: np.ndarray, labels: np.ndarray, weights: np.ndarray
) -> LogisticRegression:
    with warnings.catch_warnings():  # separable data at weak regularisation may reach the limit; the score judges
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(features, labels, sample_weight=weights)


def _rotate(standard: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Coordinates (examples, rank) in the span of the examples, and the basis (rank, width); as it is where slower."""
    examples, width = standard.shape
    if 2 * examples > width:
        return standard, None
    exact = standard.astype(np.float64)
    squares, vectors = np.linalg.eigh(exact @ exact.T)
    kept = squares > squares[-1] * np.finfo(np.float32).eps
    lengths = np.sqrt(squares[kept])
    return (vectors[:, kept] * lengths).astype(np.float32), (vectors[:, kept] / lengths).T @ exact


def _outputs(model: LogisticRegression, examples: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """A row per class; the binary model has one row for both. A class without an example gets 1 in `examples`."""
    coefficients, intercepts = model.coef_.astype(np.float64), model.intercept_.astype(np.float64)
    if len(coefficients) == 1:
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    weight = np.zeros((classes, coefficients.shape[1]))
    bias = np.full(classes, -np.log(examples))
    weight[model.classes_], bias[model.classes_] = coefficients, intercepts
    return weight, bias
