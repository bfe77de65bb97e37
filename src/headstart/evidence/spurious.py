"""Spurious attributes: one that predicts the label suspiciously well, such as a camera or the brightness of a picture.

A model may learn such a shortcut in place of the content (Geirhos et al. 2020, "Shortcut learning in deep neural
networks"), and then fails where the shortcut is missing. Each attribute by itself predicts each class against the rest:
its values fall into at most `BINS` bins, and a held-out example is called the class whose share of the other folds'
examples in its bin is greater than that of the rest. The score is Youden's J = sensitivity + specificity - 1, which is
0 by chance and 1 at best, whatever the classes' sizes; balanced accuracy is (1 + J) / 2.

The rule. An attribute is suspicious for a class where its J is

- beyond chance: p <= `LEVEL` by permutations of the labels, corrected for all attributes and classes by the
  distribution of their greatest standardised score (maxT of Westfall & Young 1993), and
- large: at least `LEAST`, and at least the share `OF_CONTENT` of the J that features of the content reach for this
  class, which a single number should not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from headstart.evidence.attributes import Values
from headstart.kernel.randomness import draw_seed

LEVEL, LEAST, OF_CONTENT = 0.01, 0.2, 0.6

FEWEST = 10
"""Examples that a class has, and that lack it, at least."""

FOLDS, BINS, PERMUTATIONS, MOST_CLASSES = 5, 10, 499, 20


class Spurious(NamedTuple):
    """An attribute held against the label."""

    attribute: str
    label: str
    """Name of the class that it predicts best."""
    score: float
    """Youden's J of its held-out predictions of this class, at most 1; 0 by chance."""
    content: float | None
    """The same of the content's features; None where there are none."""
    p: float
    """Corrected for all attributes and classes."""
    suspicious: bool
    """True where the rule holds."""
    examples: int
    """Number of examples that it rests on."""


def spurious(
    attributes: Mapping[str, Values],
    labels: np.ndarray,
    names: Sequence[str],
    *,
    content: np.ndarray | None = None,
    units: np.ndarray | None = None,
    seed: int = 0,
) -> list[Spurious]:
    """Hold every attribute against the label, the most suspicious first.

    Args:
        attributes: name -> (examples,) values. Those of one value, of almost as many names as examples, and folders
            that merely sort the examples by class are passed over.
        labels: (examples, classes) bool, whether an example has a class; one without any is left out.
        names: of the classes.
        content: (examples, classes) held-out scores of a model of the content, such as probabilities; None for none.
        units: (examples,) int: groups or sets of copies, of which each counts once; None where there are none.
        seed: of folds, permutations and the example of each unit.
    """
    draws = np.random.default_rng(draw_seed(seed, "spurious attributes"))
    rows = draws.permutation(np.flatnonzero(labels.any(axis=1)))
    if units is not None:
        rows = rows[np.unique(units[rows], return_index=True)[1]]
    count = labels[rows].sum(axis=0)
    judged = np.flatnonzero((count >= FEWEST) & (len(rows) - count >= FEWEST))
    judged = judged[np.argsort(-count[judged], kind="stable")[:MOST_CLASSES]]
    asked = {name: values for name, values in attributes.items() if not _sorts(name, values, rows, labels)}
    coded = {name: codes for name, values in asked.items() if (codes := _codes(values, rows)) is not None}
    if not len(judged) or not coded:
        return []
    member = labels[np.ix_(rows, judged)].astype(np.float64)
    tables = [_Table(codes, draws.integers(FOLDS, size=len(rows))) for codes in coded.values()]
    orders = [np.arange(len(rows)), *(draws.permutation(len(rows)) for _ in range(PERMUTATIONS))]
    scores = np.stack([[table.scores(member[order]) for table in tables] for order in orders])
    reached = None if content is None else _youden(content[np.ix_(rows, judged)], member > 0)
    found = _judged(scores, reached)
    rest = [(name, *one) for name, one in zip(coded, found)]
    made = [
        Spurious(name, str(names[judged[k]]), score, None if reached is None else float(reached[k]), p, bad, len(rows))
        for name, k, score, p, bad in rest
    ]
    return sorted(made, key=lambda one: (not one.suspicious, one.p, -one.score))


def in_words(one: Spurious, attributes: int) -> str:
    """Return a finding in a sentence; `attributes` were looked at."""
    reached = "" if one.content is None else f", where features of the content reach {(1 + one.content) / 2:.0%}"
    return (
        f"{one.attribute} alone tells '{one.label}' from the rest with {(1 + one.score) / 2:.0%} balanced accuracy"
        f"{reached} (chance 50%, p = {one.p:.3f} corrected for {attributes} attributes): a model may learn it in place "
        "of the content"
    )


class _Table:
    """Held-out predictions from the bins of one attribute, for any labels."""

    def __init__(self, codes: np.ndarray, folds: np.ndarray) -> None:
        bins = int(codes.max()) + 1
        cells = folds * bins + codes
        shape = (FOLDS * bins, len(codes))
        self.counter = csr_array((np.ones(len(codes)), (cells, np.arange(len(codes)))), shape=shape)
        self.all = np.bincount(cells, minlength=shape[0]).reshape(FOLDS, bins, 1)

    def scores(self, member: np.ndarray) -> np.ndarray:
        """(classes,) Youden's J for labels (examples, classes) of 0 and 1."""
        inside = (self.counter @ member).reshape(FOLDS, -1, member.shape[1])
        outside = self.all - inside
        known = [counts.sum(axis=0) - counts for counts in (inside, outside)]
        share = [counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) for counts in known]
        called = (share[0] > share[1]) + 0.5 * (share[0] == share[1])
        hits, misses = ((counts * called).sum(axis=(0, 1)) / counts.sum(axis=(0, 1)) for counts in (inside, outside))
        return np.asarray(hits - misses)


def _judged(scores: np.ndarray, content: np.ndarray | None) -> list[tuple[int, float, float, bool]]:
    """Class, score, corrected p and verdict of each attribute; scores (1 + permutations, attributes, classes)."""
    spread = np.maximum(scores[1:].std(axis=0), 1e-12)
    standard = (scores - scores[1:].mean(axis=0)) / spread
    greatest = standard[1:].max(axis=(1, 2))
    p = (1 + (greatest[:, None, None] >= standard[0] - 1e-12).sum(axis=0)) / len(scores)
    needed = np.full(scores.shape[2], LEAST) if content is None else np.maximum(LEAST, OF_CONTENT * content)
    bad = (p <= LEVEL) & (scores[0] >= needed)
    told = np.where(bad, 10.0, 0.0) + np.where(bad, scores[0], -p)
    best = told.argmax(axis=1)
    return [
        (int(k), float(scores[0, row, k]), float(p[row, k]), bool(bad[row, k])) for row, k in enumerate(best.tolist())
    ]


def _youden(scores: np.ndarray, member: np.ndarray) -> np.ndarray:
    """(classes,) J of calling as many examples a class as there are in it, those with the highest scores."""
    place = (-scores).argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    called = place < member.sum(axis=0)
    hits, misses = ((called & of).sum(axis=0) / of.sum(axis=0) for of in (member, ~member))
    return np.asarray(hits - misses)


def _codes(values: Values, rows: np.ndarray) -> np.ndarray | None:
    """(rows,) int: the bin of each value; None for an attribute that cannot predict anything."""
    numbers = isinstance(values, np.ndarray) and values.dtype.kind == "f"
    codes = _binned(np.asarray(values)[rows]) if numbers else _common([values[row] for row in rows])
    return None if codes is None or len(np.unique(codes)) < 2 else codes


def _binned(numbers: np.ndarray) -> np.ndarray:
    """Numbers by their deciles, or each by itself where there are few; what is no number is a bin of its own."""
    known = np.isfinite(numbers)
    different = np.unique(numbers[known])
    edges = different if len(different) <= BINS else np.unique(np.quantile(numbers[known], np.arange(1, BINS) / BINS))
    return np.where(known, 1 + np.searchsorted(edges, np.where(known, numbers, 0.0), side="right"), 0)


def _common(names: Sequence[Any]) -> np.ndarray | None:
    """Names by number: the commonest each by itself, all others together; None where almost all are different."""
    different, number, count = np.unique(
        [f"={name}" if name is not None else "" for name in names], return_inverse=True, return_counts=True
    )
    if 2 * len(different) > len(names):
        return None
    place = np.empty(len(different), dtype=np.int64)
    place[np.argsort(-count, kind="stable")] = np.minimum(np.arange(len(different)), BINS)
    return place[number]


def _sorts(name: str, values: Values, rows: np.ndarray, labels: np.ndarray) -> bool:
    """Return whether folders are those of the classes."""
    if not name.startswith("folder"):
        return False
    pairs = {(str(values[row]), labels[row].tobytes()) for row in rows.tolist()}
    return len(pairs) == len({folder for folder, _ in pairs}) == len({held for _, held in pairs})
