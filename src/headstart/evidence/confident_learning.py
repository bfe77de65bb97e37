"""Confident learning: which labels look wrong, how many there are, and which classes are taken for each other.

Northcutt, Jiang & Chuang 2021 ("Confident learning: estimating uncertainty in dataset labels"). From probabilities
p_j(x) of a model that has not seen x, the threshold of class j is the mean of p_j over the examples labelled j. An
example labelled i counts in C_ij, where j has the highest p_j among those that reach their thresholds; in none where no
class does. The joint distribution of given and true labels is C with its rows scaled to the counts of labels, divided
by its sum. Labels off the diagonal of C look wrong.

Intervals are those of multinomial resamples of each row of C, which the paper does not give.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from headstart.kernel.randomness import draw_seed

RESAMPLES = 1000


class Share(NamedTuple):
    """A share with its 95 % interval, all in [0, 1]."""

    value: float
    low: float
    high: float


class Overlap(NamedTuple):
    """Two classes that are taken for each other."""

    one: int
    other: int
    share: Share
    """Of the examples of both classes, those whose given and true class are the two, one each."""


class ConfidentJoint(NamedTuple):
    """Given labels against those that a model is confident of."""

    counts: np.ndarray
    """(classes, classes) int: examples given the class of the row and confidently of that of the column."""
    confident: np.ndarray
    """(examples,) the class that each is confidently of; -1 for none."""
    labelled: np.ndarray
    """(classes,) int: examples given each class."""
    wrong: np.ndarray
    """(some,) int, ascending: the rows off the diagonal whose given class is the less probable one."""

    def joint(self) -> np.ndarray:
        """Return the (classes, classes) distribution of given and true labels; its sum is 1."""
        return _joint(self.counts, self.labelled)

    def share_wrong(self, seed: int) -> Share:
        """Return the share of labels that are wrong."""
        return _share(1 - np.trace(self.joint()), 1 - np.einsum("nii->n", self._resampled(seed)))

    def overlaps(self, seed: int) -> list[Overlap]:
        """Return all pairs of classes with examples of one that are confidently of the other, the worst first."""
        found, resampled, joint = list[Overlap](), self._resampled(seed), self.joint()
        for one, other in zip(*np.nonzero(np.triu(self.counts + self.counts.T, 1))):
            shares = [
                (some[..., one, other] + some[..., other, one])
                / np.maximum(some[..., one, :].sum(axis=-1) + some[..., other, :].sum(axis=-1), 1e-300)
                for some in (joint, resampled)
            ]
            found.append(Overlap(int(one), int(other), _share(float(shares[0]), shares[1])))
        return sorted(found, key=lambda pair: -pair.share.value)

    def _resampled(self, seed: int) -> np.ndarray:
        """(resamples, classes, classes) joints."""
        draws = np.random.default_rng(draw_seed(seed, "confident joint"))
        number = max(20, min(RESAMPLES, 20_000_000 // self.counts.size))
        total = self.counts.sum(axis=1)
        shares = self.counts / np.maximum(total, 1)[:, None] + (total == 0)[:, None] / len(total)
        rows = [draws.multinomial(int(count), share, number) for count, share in zip(total, shares)]
        return _joint(np.stack(rows, axis=1), self.labelled)


def confident_joint(labels: np.ndarray, probabilities: np.ndarray) -> ConfidentJoint:
    """Count confident examples.

    Args:
        labels: (examples,) int in [0, classes).
        probabilities: (examples, classes) by a model that has not seen the example.
    """
    classes = probabilities.shape[1]
    labelled = np.bincount(labels, minlength=classes)
    own = probabilities[np.arange(len(labels)), labels]
    thresholds = np.bincount(labels, own, minlength=classes) / np.maximum(labelled, 1)
    thresholds[labelled == 0] = np.inf
    over = probabilities >= thresholds - 1e-6
    confident = np.where(over.any(axis=1), np.where(over, probabilities, -1.0).argmax(axis=1), -1)
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels[confident >= 0], confident[confident >= 0]), 1)
    empty = np.diag(counts) == 0  # a class that is never confident of itself has its labels taken for right
    counts[empty, empty] = np.minimum(1, labelled[empty])
    wrong = (confident >= 0) & (probabilities[np.arange(len(labels)), confident] > own)
    return ConfidentJoint(counts, confident, labelled, np.flatnonzero(wrong))


def _joint(counts: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    """Scale the rows of (..., classes, classes) to the counts of labels, and all to a sum of 1."""
    scaled = counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1) * labelled[:, None]
    return np.asarray(scaled / np.maximum(scaled.sum(axis=(-2, -1), keepdims=True), 1e-300))


def _share(value: float, resampled: np.ndarray) -> Share:
    low, high = np.quantile(resampled, (0.025, 0.975))
    return Share(float(value), float(min(low, value)), float(max(high, value)))
