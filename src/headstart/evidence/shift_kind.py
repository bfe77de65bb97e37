"""The kind of a shift between labelled data and another set, as far as the labels at hand tell.

Each question is a test; the p-values are corrected together (Holm 1979):

- inputs: can the sets be told apart by their inputs? (`shift`)
- labels: is the mix of classes another one? Of predicted classes where labels are missing. (`label_shift`)
- inputs of a class: are those of the same class different? Where labels are missing, examples of the data are drawn to
  the estimated mix of the other set and compared with it.
- labels of an input: do labels differ where inputs are alike? Once as they are, once allowing for another mix of
  classes. Not without labels. (`concept_shift`)
- support: has one set a class, or a region, that the other lacks? (`missing_regions`) Of a class without labels the
  interval of its estimated share says so, which is no test and not among those that are corrected.

The rule, in this order:

- none: no test finds a difference;
- support: a class or region is missing;
- concept: labels of an input differ, with and without allowing for the mix of classes;
- label: the mix differs, and what label shift leaves alone does not, not even before the correction: inputs of a class,
  and labels of an input at one mix;
- covariate: inputs differ, also those of a class, and labels of an input do not, not even before the correction;
- cannot tell: all else.

Where the sets hardly overlap, no region is merely missing: the shift is then one of the other kinds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import hypergeom

from headstart.contracts.domains import ShiftKind
from headstart.evidence.concept_shift import labels_given_inputs
from headstart.evidence.held_out_classes import COMPONENTS, held_out_classes
from headstart.evidence.label_shift import Mix, estimated_mix, same_frequencies
from headstart.evidence.missing_regions import Region, components, missing_regions
from headstart.evidence.shift import FEWEST, MOST, Shift, shift
from headstart.kernel.randomness import draw_seed

LEVEL = 0.05
"""Of all tests together."""

LEAST = 0.005
"""Share up to which a class is left out of examples that are drawn to a mix; half of an equal one of many classes."""

EXPECTED = 5.0
"""Examples of a class that are expected at least where its lack is told."""

OF_A_CLASS, OF_AN_INPUT, AT_ONE_MIX = "inputs of a class", "labels of an input", "labels of an input at one mix"
REGIONS = ("region only in the other set", "region only in the data")

DISJOINT = 1.8
"""Proxy A-distance from which two sets hardly overlap."""

APART = 0.95
"""ROC AUC between inputs of a class from which the sets hardly overlap: estimated mixes mean nothing then."""

RARE = 0.25
"""Of a class's share in the data: where its estimated share in a set without labels is surely below, it is missing.
Chosen on other data than the benchmark `safety` reports."""

FEW_LABELS = 30
"""Labels of the other set below which it counts as one without."""


class Question(NamedTuple):
    """A test of one respect in which two sets may differ."""

    name: str
    """One of 'inputs', 'labels', 'classes' (that are missing) and the names below."""
    statistic: str
    """Name of what is measured."""
    value: float
    p: float
    corrected: float
    """The p-value, corrected for all questions."""
    basis: str
    """Examples or labels that it rests on."""

    @property
    def found(self) -> bool:
        """Return whether the sets differ in this respect."""
        return self.corrected <= LEVEL


class Diagnosis(NamedTuple):
    """The kind of a shift, with its evidence."""

    kind: ShiftKind
    reason: str
    questions: tuple[Question, ...]
    inputs: Shift
    mix: Mix | None
    """Estimated shares of the data's classes in the other set; None where the data have no classes."""
    black_box: np.ndarray | None
    """(classes,) the same by BBSE."""
    missing_classes: tuple[tuple[str, str], ...]
    """Class and the set that lacks it, 'data' or 'other'."""
    regions: tuple[Region, Region]
    """Region of the other set that is most missing in the data, and the reverse."""


def diagnose(
    one: np.ndarray,
    other: np.ndarray,
    labels: np.ndarray | None = None,
    other_labels: np.ndarray | None = None,
    names: Sequence[str] = (),
    seed: int = 0,
) -> Diagnosis:
    """Tell the kind of the shift from one set, the data, to another.

    Args:
        one: (examples, width) finite features; `FEWEST` examples at least. other: likewise.
        labels: (examples,) int in [0, classes), -1 where none is known; None without any.
        other_labels: likewise of `other`; those that are known are taken for a random part of it.
        names: of the classes of both sets.
        seed: of everything that is drawn.
    """
    draws = np.random.default_rng(draw_seed(seed, "kind of a shift"))
    sides = [_Side(*some, draws) for some in ((one, labels), (other, other_labels))]
    points = components(np.concatenate([side.features for side in sides]), COMPONENTS)
    for side, of in zip(sides, np.split(points, [len(sides[0].rows)])):
        side.points = of
    regions = missing_regions(sides[0].points, sides[1].points, draws)
    inputs = shift(sides[0].features, sides[1].features, seed)
    found = [("inputs", "ROC AUC", inputs.auc, inputs.p, f"{inputs.examples:,} of each")]
    for name, region in zip(REGIONS, regions):
        found.append((name, "others in it", float(region.others), region.p, f"{len(region.rows):,} examples"))
    theirs, mine = (region._replace(rows=side.rows[region.rows]) for side, region in zip(sides[::-1], regions))
    mix, black_box, missing = None, None, list[tuple[str, str]]()
    if sides[0].classes() > 1 and sides[0].repeated():
        compared = _Labels(sides[0], sides[1], len(names), seed, draws)
        mix, black_box = compared.mix, compared.black_box
        found += compared.questions()
        if lacking := compared.missing():
            p = min(p for _, _, p in lacking)
            found.append(("classes", "number", float(len(lacking)), p, "labels"))
        surely = [(k, of) for k, of, p in lacking if p <= LEVEL] or [(k, "other") for k in compared.hardly_there()]
        missing = [(str(names[k]), of) for k, of in surely]
    questions = _corrected(found)
    kind, reason = _kind({one.name: one for one in questions}, inputs, missing)
    return Diagnosis(kind, reason, questions, inputs, mix, black_box, tuple(missing), (theirs, mine))


class _Side:
    """At most `MOST` examples of a set."""

    points: np.ndarray
    """(examples, some) principal components of both sets."""

    def __init__(self, features: np.ndarray, labels: np.ndarray | None, draws: np.random.Generator) -> None:
        self.rows = np.sort(draws.choice(len(features), min(MOST, len(features)), replace=False))
        self.features = features[self.rows]
        known = np.full(len(features), -1) if labels is None else labels
        self.labels = known[self.rows]
        self.known = np.flatnonzero(self.labels >= 0)

    def classes(self) -> int:
        return len(np.unique(self.labels[self.known]))

    def repeated(self) -> bool:
        """Return whether any class has two examples, so that one can be held out."""
        return self.classes() < len(self.known)


class _Labels:
    """Questions that need labels."""

    def __init__(self, one: _Side, other: _Side, number: int, seed: int, draws: np.random.Generator) -> None:
        self.one, self.other, self.number, self.seed, self.draws = one, other, number, seed, draws
        self.features, self.classes = one.features[one.known], one.labels[one.known]
        self.points = one.points[one.known]
        self.held_out, self.probabilities = held_out_classes(self.points, self.classes, number, seed, other.points)
        self.mix, self.black_box = estimated_mix(self.held_out, self.classes, self.probabilities, draws)
        self.labelled = len(other.known) >= FEW_LABELS
        self.mostly = self.labelled and 2 * len(other.known) >= len(other.labels)
        self.apart = False

    def questions(self) -> list[tuple[str, str, float, float, str]]:
        theirs, kind = self.other.labels[self.other.known], "labels"
        mine = self.classes
        if not self.mostly:
            mine, theirs, kind = self.held_out.argmax(axis=1), self.probabilities.argmax(axis=1), "predicted labels"
        value, p = same_frequencies(self._counts(mine), self._counts(theirs), self.draws)
        found = [("labels", "Cramer's V", value, p, f"{len(mine):,} and {len(theirs):,} {kind}")]
        within = self._within()
        self.apart = within is not None and within.auc >= APART
        if within is not None:
            how = "of each, class by class" if self.mostly else "of each, drawn to one mix of classes"
            found.append(("inputs of a class", "ROC AUC", within.auc, within.p, f"{within.examples:,} {how}"))
        if self.labelled:
            points = np.concatenate([self.points, self.other.points[self.other.known]])
            classes = np.concatenate([self.classes, self.other.labels[self.other.known]])
            sets = np.arange(len(classes)) >= len(self.classes)
            basis = f"{len(self.classes):,} and {len(self.other.known):,} labels"
            for name, at_one_mix in (("labels of an input", False), ("labels of an input at one mix", True)):
                value, p = labels_given_inputs(points, classes, sets, self.number, self.seed, at_one_mix=at_one_mix)
                found.append((name, "kernel", value, p, basis))
        return found

    def _within(self) -> Shift | None:
        """Inputs of the same class compared; None where too few are left."""
        if self.mostly:
            known = self.other.known
            return shift(self.features, self.other.features[known], self.seed, (self.classes, self.other.labels[known]))
        counts = self._counts(self.classes)
        present = self.mix.shares > min(LEAST, 0.5 / self.number)
        size = int((counts[present] / self.mix.shares[present]).min())
        wanted = np.minimum(np.round(self.mix.shares * size).astype(np.int64), counts)
        rows = [self.draws.choice(np.flatnonzero(self.classes == k), n, replace=False) for k, n in enumerate(wanted)]
        drawn = np.concatenate(rows)
        return shift(self.features[drawn], self.other.features, self.seed) if len(drawn) >= 2 * FEWEST else None

    def missing(self) -> list[tuple[int, str, float]]:
        """Class, the set that lacks it, and the p-value, corrected for the classes."""
        mine, theirs = self._counts(self.classes), self._counts(self.other.labels[self.other.known])
        total = mine.sum() + theirs.sum()
        found = []
        for k in range(self.number) if self.labelled else ():
            for own, others, of in ((mine, theirs, "other"), (theirs, mine, "data")):
                if not others[k] and own[k] / own.sum() * others.sum() >= EXPECTED:
                    found.append((k, of, float(hypergeom.pmf(0, total, own[k], others.sum()))))
        return [(k, of, min(1.0, p * 2 * self.number)) for k, of, p in found]

    def hardly_there(self) -> list[int]:
        """Classes that another set without labels lacks by its estimated mix, which is an interval and no test."""
        if self.labelled or self.apart or min(len(self.classes), len(self.other.labels)) < FEW_LABELS:
            return []
        share = self._counts(self.classes) / len(self.classes)
        expected = np.flatnonzero(share * len(self.other.labels) >= EXPECTED).tolist()
        return [k for k in expected if self.mix.high[k] < RARE * share[k]]

    def _counts(self, classes: np.ndarray) -> np.ndarray:
        return np.bincount(classes, minlength=self.number)


def _corrected(found: Sequence[tuple[str, str, float, float, str]]) -> tuple[Question, ...]:
    """The questions with their p-values corrected by Holm."""
    order = sorted(range(len(found)), key=lambda place: found[place][3])
    least, corrected = 0.0, dict[int, float]()
    for rank, place in enumerate(order):
        least = max(least, min(1.0, (len(found) - rank) * found[place][3]))
        corrected[place] = least
    return tuple(
        Question(name, statistic, value, p, corrected[place], basis)
        for place, (name, statistic, value, p, basis) in enumerate(found)
    )


def _kind(asked: dict[str, Question], inputs: Shift, missing: Sequence[tuple[str, str]]) -> tuple[ShiftKind, str]:
    """The rule, and its reason."""
    found = [name for name, one in asked.items() if one.found]
    doubtful = {name for name, one in asked.items() if one.p <= LEVEL}
    blind = "" if AT_ONE_MIX in asked else "; concept shift cannot be seen without labels of the other set"
    if not found and not missing:
        return "none", f"no test finds a difference{blind}"
    if missing:
        lacks = {"data": "the data have", "other": "the other set has"}
        return "support", "; ".join(f"{lacks[of]} no '{name}'" for name, of in missing)
    if regions := [asked[name] for name in REGIONS if name in found and inputs.distance < DISJOINT]:
        told = (f"a {one.name}, {one.basis} with {one.value:.0f} of the set that lacks them" for one in regions)
        return "support", "; ".join(told)
    if OF_AN_INPUT in found and AT_ONE_MIX in found:
        return "concept", "like inputs have other labels, more than another mix of classes explains"
    if "labels" in found and OF_A_CLASS in asked and not doubtful & {OF_A_CLASS, AT_ONE_MIX}:
        return "label", f"the mix of classes differs; inputs of the same class are not found to differ{blind}"
    apart = "inputs" in found or OF_A_CLASS in found
    if apart and "labels" in asked and OF_AN_INPUT not in doubtful and doubtful & {OF_A_CLASS}:
        like = blind or "; labels of like inputs are not found to differ"
        if inputs.distance >= DISJOINT:
            like = "; the sets hardly overlap, so that labels of like inputs cannot be compared"
        return "covariate", f"inputs differ, also those of the same class{like}"
    if "labels" not in asked:
        return (
            "cannot tell",
            "the inputs differ, and the data have no labels of two classes, some of them repeated, that would tell how",
        )
    return "cannot tell", f"the sets differ in {', '.join(found)}, and that fits no single kind"
