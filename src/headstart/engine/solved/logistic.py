"""L2-regularised multinomial logistic regression whose regularisation is chosen by cross-validation.

    min over W, b of  sum_i w_i CE(W z_i + b, y_i) + ||W||^2 / (2 C),   z standardised features

C runs in decades from strong to weak regularisation, each fit starting from the last, all folds in step, until the mean
log likelihood of held-out examples falls; then the half decades beside the best are tried. The likelihood is a far less
noisy guide than the share of right answers. It is that of calibrated probabilities, at the temperature that suits the
held-out examples best: strong regularisation is then not charged with its modesty, which the temperature mends. The
head has that temperature in its weights.

The same folds choose how features are scaled: each to variance 1, which wins where some features are large and say
nothing, or all by one number, which wins where the small ones are noise. Neither is right for all backbones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import log_softmax

from headstart.contracts.linear_model import Solved
from headstart.engine.solved.softmax_fit import Coordinates, SoftmaxFit, principal
from headstart.kernel.errors import DataError
from headstart.kernel.randomness import draw_seed
from headstart.numerics.calibration import fit_temperature, log_likelihoods, log_prior
from headstart.numerics.few_threads import few_threads
from headstart.numerics.standardisation import Standardisation, standardise
from headstart.numerics.stratified_folds import stratified_folds

DECADES = tuple(10.0**k for k in range(-5, 3))
"""Values of C, strongest regularisation first."""

FIXED = 0.01
"""C where nothing can be held out. Elsewhere log10 C has a normal prior of variance 1 around it, worth about an example
as the temperature's is: without them sixteen examples that happen to be separable choose the weakest regularisation."""

FOLDS, FEWER_FOLDS = 5, 3
MANY, LARGE = 1_000, 20_000
"""Examples from which fewer folds do, and above which one held-out fifth stands for all folds."""

COARSE, FINE = 1e-4, 1e-9
"""Relative improvement at which a fit ends: while C is sought, and for the head that is kept."""

MOST_STEPS = 500

SAMPLE = 2_000
"""Examples by which `out_of_fold` chooses scaling, regularisation and temperature: more tell them hardly better."""

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
    """Mean log likelihood of held-out examples, calibrated; NaN without folds."""
    folds: int
    scaled_each: bool
    """True: every feature was scaled by its own variance; False: all were divided by one number."""
    temperature: float
    """By which the logits of the fit were divided."""
    held_out: tuple[np.ndarray, ...] | None
    """Calibrated logits (held-out examples, classes) of the folds at this C, their labels and, where examples have
    any, their weights; None without folds."""

    def as_solved(self) -> Solved:
        """Return it as heads are solved."""
        chosen = {"C": self.C, "cv_score": self.cv_score, "folds": self.folds, "scaled_each": int(self.scaled_each)}
        return self.weight, self.bias, chosen, () if self.held_out is None else (self.held_out,)


class Scalings:
    """Features (examples, width) in both scalings, each made when first asked for; they serve any number of targets."""

    def __init__(self, features: np.ndarray, weights: np.ndarray | None = None, rank: int | None = None) -> None:
        """`features` are finite floats; `weights` (examples,) are those of mean and variance, None for 1 each.

        `rank` is the number of principal components that are kept, those of the largest variance; None for all.
        """
        self.features, self.weights, self.rank = features, weights, rank
        self._made: dict[bool, tuple[Standardisation, Coordinates]] = {}

    def scaled(self, *, each: bool) -> tuple[Standardisation, Coordinates]:
        """Every feature with variance 1, or all divided by one number; in principal coordinates."""
        if each not in self._made:
            standard, standardisation = standardise(self.features, self.weights, each=each)
            with few_threads(self.features):
                rotated, back = principal(standard)  # in rising order of their variance
            first = 0 if self.rank is None else max(0, len(back) - self.rank)
            self._made[each] = standardisation, Coordinates(np.ascontiguousarray(rotated[:, first:]), back[first:])
        return self._made[each]

    def of(self, rows: np.ndarray) -> Scalings:
        """The same of some rows, with their own components."""
        return Scalings(self.features[rows], None if self.weights is None else self.weights[rows], self.rank)


class _HeldOut(NamedTuple):
    """Results of the folds for the examples that are held out."""

    score: float
    """Mean log likelihood with the priors: what is chosen by."""
    likelihood: float
    """Without them."""
    temperature: float


_NOTHING = _HeldOut(float("nan"), float("nan"), 1.0)


class _Fold:
    """One training part and its held-out part; each fit starts from the last one."""

    def __init__(self, rotated: np.ndarray, labels: np.ndarray, weights: np.ndarray, split: _Split) -> None:
        train, held_out = split
        held_out = held_out[np.isin(labels[held_out], labels[train])]
        self.rows, self.weights = held_out, weights[held_out]
        self.held_out, self.truth = rotated[held_out], labels[held_out]
        self.present, renumbered = np.unique(labels[train], return_inverse=True)
        self.model = SoftmaxFit(rotated[train], renumbered, weights[train], len(self.present))
        self.usable = len(self.present) > 1 and len(held_out) > 0

    def log_probabilities(self, c: float, classes: int) -> np.ndarray:
        """(held-out examples, classes), those of a class that is not in the training part being 0."""
        self.model.fit(c, tolerance=COARSE, steps=MOST_STEPS)
        found = np.full((len(self.truth), classes), -np.inf)
        found[:, self.present] = self.model.log_probabilities(self.held_out)
        return found


class _Candidate(NamedTuple):
    """The best found with one scaling."""

    held_out: _HeldOut
    c: float
    folds: list[_Fold]
    each: bool


def solve_logistic(
    features: np.ndarray | Scalings,
    labels: np.ndarray,
    classes: int,
    *,
    weights: np.ndarray | None,
    groups: np.ndarray | None,
    seed: int,
) -> Solution:
    """Fit features (examples, width) to labels (examples,) in [0, classes).

    Args:
        features: finite floats; as `Scalings` where several targets share them.
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
    scalings = features if isinstance(features, Scalings) else Scalings(features)
    best = _best(scalings, labels, weights, groups, seed)
    standardisation, coordinates = scalings.scaled(each=best.each)
    present, renumbered = np.unique(labels, return_inverse=True)
    model = SoftmaxFit(coordinates.rotated, renumbered, weights, len(present))
    with few_threads(scalings.features):
        model.fit(best.c, tolerance=FINE, steps=4 * MOST_STEPS)
        held_out = _held_out_logits(best.folds, best.c, classes) if best.folds else None
    _, likelihood, temperature = best.held_out
    weight, bias = _on_raw(model, present, classes, len(labels), temperature, standardisation, coordinates)
    if held_out is not None:
        counted = () if scalings.weights is None else (scalings.weights[np.concatenate([f.rows for f in best.folds])],)
        held_out = held_out[0] / temperature, held_out[1], *counted
    return Solution(weight, bias, best.c, likelihood, len(best.folds), best.each, temperature, held_out)


def out_of_fold(
    scalings: Scalings,
    labels: np.ndarray,
    classes: int,
    folds: Sequence[_Split],
    *,
    weights: np.ndarray | None,
    groups: np.ndarray | None,
    seed: int,
) -> np.ndarray:
    """Return calibrated log probabilities (examples, classes), each by a fit without the example's fold.

    Scaling, regularisation and temperature are chosen once, on at most `SAMPLE` examples of all folds: a few numbers in
    place of five searches. Arguments as of `solve_logistic`; `folds` are pairs of rows to fit on and rows held out,
    which together are all.

    Raises:
        DataError: the examples to fit on are all of one class.
    """
    weights = np.ones(len(labels)) if weights is None else weights
    best = _best_on_sample(scalings, labels, weights, groups, seed)
    rotated = scalings.scaled(each=best.each)[1].rotated
    found = np.full((len(labels), classes), -np.log(len(labels)))  # of a class that the fold has none of
    with few_threads(scalings.features):
        for rest, held in folds:
            model, present = _fitted(rotated[rest], labels[rest], weights[rest], best.c)
            found[np.ix_(held, present)] = model.log_probabilities(rotated[held]) / best.held_out.temperature
    return np.asarray(log_softmax(found, axis=1))


def solved_by_fold(
    scalings: Scalings,
    labels: np.ndarray,
    classes: int,
    folds: Sequence[_Split],
    *,
    groups: np.ndarray | None,
    seed: int,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for each fold the weight (classes, width) and bias (classes,) on raw features of a fit without it.

    As `out_of_fold`, for those who predict other vectors than the examples by it.
    """
    ones = np.ones(len(labels))
    best = _best_on_sample(scalings, labels, ones, groups, seed)
    standardisation, coordinates = scalings.scaled(each=best.each)
    found = []
    with few_threads(scalings.features):
        for rest, _ in folds:
            model, present = _fitted(coordinates.rotated[rest], labels[rest], ones[rest], best.c)
            temperature = best.held_out.temperature
            found.append(_on_raw(model, present, classes, len(rest), temperature, standardisation, coordinates))
    return found


def _fitted(rotated: np.ndarray, labels: np.ndarray, weights: np.ndarray, c: float) -> tuple[SoftmaxFit, np.ndarray]:
    """A fit at a C that was chosen, and its classes. Raises DataError: there is only one."""
    present, renumbered = np.unique(labels, return_inverse=True)
    if len(present) < 2:
        raise DataError("without one of the folds all examples have the same class")
    model = SoftmaxFit(rotated, renumbered, weights, len(present))
    model.fit(c, tolerance=COARSE, steps=MOST_STEPS)
    return model, present


def _on_raw(
    model: SoftmaxFit,
    present: np.ndarray,
    classes: int,
    count: int,
    temperature: float,
    standardisation: Standardisation,
    coordinates: Coordinates,
) -> tuple[np.ndarray, np.ndarray]:
    """The calibrated map on raw features; a class without one of the `count` examples has a small probability."""
    weight = np.zeros((classes, len(coordinates.back)))
    bias = np.full(classes, -np.log(count))
    weight[present], bias[present] = model.weight, model.bias - model.bias.mean()
    bias[present] /= temperature
    return standardisation.fold(weight / temperature @ coordinates.back, bias)


def _best_on_sample(
    scalings: Scalings, labels: np.ndarray, weights: np.ndarray, groups: np.ndarray | None, seed: int
) -> _Candidate:
    """Choose scaling and regularisation on at most `SAMPLE` examples, each class with its share."""
    if len(labels) <= SAMPLE:
        return _best(scalings, labels, weights, groups, seed)
    draws = np.random.default_rng(draw_seed(seed, "sample"))
    shuffled = draws.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    rows = np.sort(by_class[np.linspace(0, len(labels) - 1, SAMPLE).round().astype(np.int64)])
    return _best(scalings.of(rows), labels[rows], weights[rows], None if groups is None else groups[rows], seed)


def _best(
    scalings: Scalings, labels: np.ndarray, weights: np.ndarray, groups: np.ndarray | None, seed: int
) -> _Candidate:
    """Choose scaling and regularisation."""
    splits = _splits(labels, groups, seed)
    best = _candidate(scalings, labels, weights, splits, None, each=True)
    if not best.folds:
        return best
    other = _candidate(scalings, labels, weights, splits, best.c, each=False)
    return other if other.held_out.score > best.held_out.score else best


def _candidate(
    scalings: Scalings,
    labels: np.ndarray,
    weights: np.ndarray,
    splits: list[_Split],
    near: float | None,
    *,
    each: bool,
) -> _Candidate:
    """The best C with one scaling; with `near` only the half decades around that value are tried."""
    rotated = scalings.scaled(each=each)[1].rotated
    folds = [_Fold(rotated, labels, weights, split) for split in splits]
    folds = [fold for fold in folds if fold.usable]
    if not folds:
        return _Candidate(_NOTHING, FIXED, [], each)
    with few_threads(scalings.features):
        scores = {} if near else _descend(folds)
        centre = near or max(scores, key=lambda c: scores[c].score)
        for c in (centre / 10**0.5, centre, centre * 10**0.5):
            scores.setdefault(c, _held_out(folds, c))
    best = max(scores, key=lambda c: (scores[c].score, -c))
    return _Candidate(scores[best], best, folds, each)


def _splits(labels: np.ndarray, groups: np.ndarray | None, seed: int) -> list[_Split]:
    """The folds; none unless two classes have something to hold out."""
    units = np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1]
    spread = np.bincount(np.unique(np.stack([labels, units]), axis=1)[0])
    if (spread > 1).sum() < 2:
        return []
    count = min(FOLDS if len(labels) < MANY else FEWER_FOLDS, int(spread.max()))
    splits = stratified_folds(labels, units, count, draw_seed(seed, "folds") % 2**32)
    return splits[:1] if len(labels) > LARGE else splits


def _descend(folds: list[_Fold]) -> dict[float, _HeldOut]:
    """Return what the decades of C come to, from strong regularisation until scores fall."""
    found: dict[float, _HeldOut] = {}
    for c in DECADES:
        found[c] = _held_out(folds, c)
        if found[c].score < max(one.score for one in found.values()):
            break
    return found


def _held_out(folds: list[_Fold], c: float) -> _HeldOut:
    """The folds at one C."""
    classes = 1 + max(int(fold.present.max()) for fold in folds)
    logits, truth = _held_out_logits(folds, c, classes)
    weights = np.concatenate([fold.weights for fold in folds])
    temperature = fit_temperature(logits, truth, weights)
    likelihood, total = float(weights @ log_likelihoods(logits, truth, temperature)), float(weights.sum())
    return _HeldOut((likelihood + log_prior(temperature) + _log_prior(c)) / total, likelihood / total, temperature)


def _held_out_logits(folds: list[_Fold], c: float, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Log probabilities (held-out examples, classes) at one C, before the temperature, and the true labels."""
    logits = np.concatenate([fold.log_probabilities(c, classes) for fold in folds])
    return logits, np.concatenate([fold.truth for fold in folds])


def _log_prior(c: float) -> float:
    """But for a constant."""
    return -(math.log10(c / FIXED) ** 2) / 2
