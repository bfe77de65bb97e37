"""The choice between the source model and models adapted to a target without labels: the source model unless the
evidence is strong.

The diagnosis says which evidence there can be (`target_accuracy.reading`):

- Only the mix of classes differs. Corrections of the mix (`weighting`) are judged by the probabilities r of the source
  model at the estimated mix (Saerens et al. 2002): what a candidate gains is the mean of r(x)[its class] -
  r(x)[the source model's class]. The gain must be there for nearly all mixes that the estimate allows, also for the
  end of each class's interval that is closest to the source.
- Even inputs of one class can be told apart nearly always. Judges are then the candidates themselves (`agreement`): the
  others' mean probabilities must side with a candidate in `AGREED` kappa at least, and by `MARGIN` more than with the
  source model. The target must also spread along the directions that tell the source's classes apart, at least
  `RELATED` of what the source does (`class_spread`): it may be about something else, which heads that were all made
  from one source can split alike. Of more than two classes they hardly do, so that `CLOSE` kappa will do as well.
- Else the domains overlap, and the source model is kept: alignments assume that the domains have the same mix and the
  same inputs, and where they are only sampled differently, they harm.

Labelled examples of the target, where there are some, come first: what is significantly better on them than the source
model is chosen (McNemar's exact test, Bonferroni over candidates) whatever else is said against it, and what is worse
has a veto.

Heads of single source domains know nothing of the target. Where the source model would be kept, one takes its place if
it is right significantly more often on held-out source examples than that model of all domains (McNemar's exact test).

Vetoes, in any case: accuracy on held-out source examples falls (paired 95 % interval, McNemar's counts); the share of
a predicted class leaves what the source and the estimated mix allow; predictions collapse to few classes; no validator
prefers the candidate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import binom

from headstart.contracts.figures import Figure
from headstart.contracts.validator import Outcome
from headstart.evidence.agreement import ENSEMBLE, SEVERAL, Candidate, agreements
from headstart.evidence.class_spread import class_spread
from headstart.evidence.shift_kind import APART, Diagnosis
from headstart.evidence.target_accuracy import (
    QUANTILE,
    Reading,
    corrected,
    estimated_accuracy,
    least,
    reading,
    shares_of,
)
from headstart.kernel import registry

RELATED, AGREED, CLOSE, MARGIN = 0.2, 0.5, 0.65, 0.05
"""Least spread of the target along the source's classes, least kappa of a candidate with its judges, the kappa that
makes up for a small spread, and by how much it must be larger than the source model's."""

LEVEL = 0.05
"""Of tests on labelled target examples."""

LEAST_GAIN = 0.005
"""Expected accuracy that a correction of the mix must gain."""

SLACK = 0.1
"""By which a predicted class's share may leave the estimated band: predictions are not probabilities."""


class Judged(NamedTuple):
    """A candidate with the evidence about it."""

    name: str
    family: str
    scores: Mapping[str, float]
    """Validator -> score; more is better."""
    agreement: float
    """Kappa with its judges; NaN where there are none."""
    gain: float
    """Expected gain of accuracy over the source model, where only the mix of classes differs; else NaN."""
    vetoes: tuple[str, ...]
    """Reasons against it; empty where there is none."""
    accuracy: Figure
    """Estimated accuracy on the target, with a 90 % interval."""


class Decision(NamedTuple):
    """The model that is shipped for the target, and the reason."""

    chosen: str
    """Name of a candidate."""
    place: int
    """Its place in the table: 0 is the source model, and two families may have a candidate of one name."""
    reason: str
    table: tuple[Judged, ...]
    """Of the source model and of every candidate, in their order."""
    accuracy: Figure
    """Estimated accuracy of the chosen model on the target, with a 90 % interval."""
    how: str
    """How that is estimated."""


def choose(
    source: Candidate,
    candidates: Sequence[Candidate],
    diagnosis: Diagnosis,
    seed: int = 0,
    names: Sequence[str] = (),
    checked: Sequence[np.ndarray] = (),
    spread: float | None = None,
) -> Decision:
    """Choose a candidate, or the source model where the evidence for each is weak.

    Args:
        source: the model without adaptation. candidates: adapted ones. The outcomes of all are of the same examples.
        diagnosis: of the shift from the source to the target.
        seed: of validators that draw. names: of the classes; their numbers without.
        checked: for the source model and each candidate, which labelled target examples it is right on, (few,) bool,
            without having been fit on them; empty without any.
        spread: `class_spread` of all source examples that there are; None for that of the held-out ones, which is
            smaller where they are few.
    """
    names = names or [str(k) for k in range(source.outcome.target.shape[1])]
    read, everyone, plain = reading(diagnosis), [source, *candidates], source.outcome
    if spread is None:
        spread = class_spread(plain.source_features, plain.labels, plain.target_features)
    kappas = agreements(everyone)
    best = max((k for one, k in zip(candidates, kappas[1:]) if one.judges), default=math.nan)
    related = 1.0 if len(names) > 2 and best >= CLOSE else min(spread / RELATED, 1.0)
    validators = {name: registry.plugin("validators", name)() for name in registry.names("validators")}
    scores = [{name: part.score(one.outcome, seed) for name, part in validators.items()} for one in everyone]
    table, how = list[Judged](), list[str]()
    for place, (one, agreement) in enumerate(zip(everyone, kappas)):
        trust = agreement * best * related
        trust = float(np.clip(trust, 0, 1)) if math.isfinite(trust) else 0.5
        figure, made = estimated_accuracy(one.outcome, diagnosis, plain, trust)
        gain, vetoes = math.nan, list[str]()
        if place:
            gain = _gain(one.outcome, plain, diagnosis)[0] if read.situation == "mix" else math.nan
            vetoes = _vetoes(one.outcome, plain, diagnosis, names)
            if all(not scores[place][name] > scores[0][name] for name in validators):
                vetoes.append("no validator prefers it to the source model")
            if one.family == SEVERAL and _p_worse(one.outcome.right, plain.right) > LEVEL:
                vetoes.append("held-out source examples do not show that it is better than a model of all domains")
            if checked and _p_worse(checked[0], checked[place]) <= LEVEL:
                vetoes.append(_told(checked, place))
        table.append(Judged(one.name, one.family, scores[place], agreement, gain, tuple(vetoes), figure))
        how.append(made)
    place, reason = _by_labels(checked) or _chosen(everyone, table, diagnosis, read, related)
    if place == 0 and diagnosis.kind != "none":
        place, reason = _of_several(everyone, table, reason)
    return Decision(everyone[place].name, place, reason, tuple(table), table[place].accuracy, how[place])


def _by_labels(checked: Sequence[np.ndarray]) -> tuple[int, str] | None:
    """The candidate that is right most often on labelled target examples, if it is better for certain."""
    if len(checked) < 2:
        return None
    best = max(range(1, len(checked)), key=lambda place: int(checked[place].sum()))
    if _p_worse(checked[best], checked[0]) * (len(checked) - 1) > LEVEL:
        return None
    return best, _told(checked, best)


def _told(checked: Sequence[np.ndarray], place: int) -> str:
    right = [int(checked[one].sum()) for one in (place, 0)]
    return f"it is right on {right[0]} of {len(checked[0])} labelled target examples, the source model on {right[1]}"


def _of_several(everyone: Sequence[Candidate], table: Sequence[Judged], reason: str) -> tuple[int, str]:
    """A candidate of single source domains in the place of the source model, where one is better on the source."""
    there = (k for k, one in enumerate(everyone) if one.family == SEVERAL and not table[k].vetoes)
    place = next(there, 0)
    if not place:
        return 0, reason
    right = [int(everyone[k].outcome.right.sum()) for k in (place, 0)]
    of = len(everyone[0].outcome.labels)
    return place, (
        f"it is right on {right[0]} of {of} held-out source examples, a model of all domains on {right[1]}, and no "
        "adaptation to the target is safe"
    )


def _p_worse(one: np.ndarray, other: np.ndarray) -> float:
    """One-sided p-value that the other is right less often than the one, of McNemar's exact test."""
    lost, won = int((one & ~other).sum()), int((other & ~one).sum())
    return float(binom.cdf(won, lost + won, 0.5)) if lost + won else 1.0


def _chosen(
    everyone: Sequence[Candidate], table: Sequence[Judged], diagnosis: Diagnosis, read: Reading, related: float
) -> tuple[int, str]:
    """Place of the chosen model, and the reason."""
    if diagnosis.kind == "none":
        return 0, "the source model is kept: no shift is found"
    if len(everyone) == 1:
        return 0, "the source model is kept: nothing else could be made"
    allowed = [place for place in range(1, len(everyone)) if not table[place].vetoes]
    if read.situation == "overlap":
        return 0, (
            "the source model is kept: the domains overlap (inputs of a class are told apart with a ROC AUC of "
            f"{read.within:.2f}, below {APART}), and nothing shows that a model adapted to such a target is better"
        )
    if read.situation == "mix":
        return _by_mix(
            everyone, table, diagnosis, [place for place in allowed if everyone[place].family == "weighting"]
        )
    if not related >= 1:
        return 0, (
            "the source model is kept: the target may be about something else, as it spreads along the directions that "
            f"tell the source's classes apart only {related * RELATED:.0%} as much as the source"
        )
    allowed = [place for place in allowed if everyone[place].judges]
    if not allowed:
        return 0, "the source model is kept: there is a reason against every adapted model"
    best = max(allowed, key=lambda place: table[place].agreement)
    most, plain = table[best].agreement, table[0].agreement
    told = f"models adapted in other ways agree with it by a kappa of {most:.2f}, with the source model by {plain:.2f}"
    if most >= AGREED and most - plain >= MARGIN:
        merged = (k for k, one in enumerate(everyone) if one.family == ENSEMBLE and not table[k].vetoes)
        return next(merged, best), told
    return 0, f"the source model is kept: the evidence for '{table[best].name}' is weak; {told}"


def _by_mix(
    everyone: Sequence[Candidate], table: Sequence[Judged], diagnosis: Diagnosis, allowed: Sequence[int]
) -> tuple[int, str]:
    """The correction of the mix that gains most, if the gain is certain enough."""
    if not allowed:
        return 0, "the source model is kept: there is a reason against every correction of the mix of classes"
    best = max(allowed, key=lambda place: table[place].gain)
    gain, low = _gain(everyone[best].outcome, everyone[0].outcome, diagnosis)
    told = f"expected accuracy changes by {100 * gain:+.1f} points at the estimated mix of classes"
    if low > 0 and gain >= LEAST_GAIN:
        return best, f"only the mix of classes differs, and {told}, by {100 * low:+.1f} at least"
    return 0, f"the source model is kept: only the mix of classes differs, and {told} with '{table[best].name}'"


def _gain(one: Outcome, source: Outcome, diagnosis: Diagnosis) -> tuple[float, float]:
    """Expected gain of accuracy over the source model at the estimated mix, and the lower bound of it."""
    mix = diagnosis.mix
    if mix is None:
        return math.nan, math.nan
    rows, mine, theirs = np.arange(len(one.target)), one.target.argmax(axis=1), source.target.argmax(axis=1)
    found = []
    for estimate in (mix, least(source, mix)):
        odds = corrected(source, estimate)
        gains = odds[rows, mine] - odds[rows, theirs]
        found.append((float(gains.mean()), float(gains.std() / math.sqrt(max(len(gains), 1)))))
    return found[0][0], min(mean - QUANTILE * error for mean, error in found)


def _vetoes(one: Outcome, source: Outcome, diagnosis: Diagnosis, names: Sequence[str]) -> list[str]:
    """Reasons against a candidate in its predictions."""
    found, mix, prior = list[str](), diagnosis.mix, shares_of(source.labels, len(names))
    right, before = one.right, source.right
    lost, won = int((before & ~right).sum()), int((right & ~before).sum())
    if lost - won > 1.96 * math.sqrt(lost + won - (lost - won) ** 2 / max(len(right), 1)):
        found.append(f"accuracy on held-out source examples changes by {100 * (won - lost) / len(right):+.1f} points")
    shares = np.bincount(one.target.argmax(axis=1), minlength=len(names)) / max(len(one.target), 1)
    mixed = reading(diagnosis).situation == "mix"
    if mix is not None:
        low, high = (mix.low, mix.high) if mixed else (np.minimum(mix.low, prior), np.maximum(mix.high, prior))
        outside = np.maximum(low - shares, shares - high)
        k = int(outside.argmax())
        if outside[k] > SLACK:
            band = f"{low[k]:.0%} to {high[k]:.0%}"
            found.append(f"it predicts '{names[k]}' for {shares[k]:.0%} of the target, far from the estimated {band}")
    wanted = mix.shares if mix is not None and mixed else prior
    if _number(shares) < _number(wanted) / 2:
        found.append(f"its predictions of the target collapse to {int((shares > 0.01).sum())} of {len(names)} classes")
    return found


def _number(shares: np.ndarray) -> float:
    """Effective number of classes, exp of their entropy."""
    return float(np.exp(-(shares * np.log(np.maximum(shares, 1e-12))).sum()))
