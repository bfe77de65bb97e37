"""The choice between the source model and adapted ones, on outcomes made for each situation."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy.special import softmax

from headstart.contracts.domains import ShiftKind
from headstart.contracts.validator import Outcome
from headstart.evidence.agreement import Candidate
from headstart.evidence.label_shift import Mix
from headstart.evidence.safe_choice import Decision, choose
from headstart.evidence.shift import Shift
from headstart.evidence.shift_kind import OF_A_CLASS, Diagnosis, Question

N, CLASSES = 400, 3
EVEN, SKEWED = np.full(3, 1 / 3), np.array([0.9, 0.05, 0.05])
DRAWS = np.random.default_rng(0)
LABELS = np.arange(N) % CLASSES
FEATURES = DRAWS.normal(size=(N, 4)).astype(np.float32)


def _outcome(truth: np.ndarray, wrong: float, seed: int, source_wrong: float = 0.1) -> Outcome:
    """Of a model that is wrong on a random share of the target, whose classes are `truth`, and of the source."""
    draws = np.random.default_rng(seed)

    def told(classes: np.ndarray, share: float) -> np.ndarray:
        moved = np.where(draws.random(N) < share, (classes + draws.integers(1, CLASSES, N)) % CLASSES, classes)
        return np.asarray(0.9 * np.eye(CLASSES)[moved] + 0.1 / CLASSES)

    source, target = told(LABELS, source_wrong), told(truth, wrong)
    return Outcome(source, LABELS, target, FEATURES, FEATURES, np.ones(N), lambda x: np.full((len(x), CLASSES), 1 / 3))


def _diagnosis(kind: ShiftKind, within: float, mix: np.ndarray = EVEN) -> Diagnosis:
    asked = (
        Question("inputs", "ROC AUC", within, 0.002, 0.01, ""),
        Question("labels", "Cramer's V", 0.5, 0.002, 0.01, ""),
        Question(OF_A_CLASS, "ROC AUC", within, 0.002, 0.01, ""),
    )
    band = Mix(mix, np.maximum(mix - 0.05, 0), mix + 0.05)
    return Diagnosis(kind, "", asked, Shift(within, 0.002, 2 * within, N), band, None, (), ())  # type: ignore[arg-type]


SHIFTED = _diagnosis("covariate", 1.0)
OVERLAPPING = _diagnosis("covariate", 0.7)
SOURCE = Candidate("source", "source", _outcome(LABELS, 0.6, 1))
GOOD = [Candidate(f"adapted {seed}", "alignment", _outcome(LABELS, 0.05, seed)) for seed in (2, 3, 4)]


def _with(changed: Outcome, diagnosis: Diagnosis = SHIFTED) -> Decision:
    """The decision where the best adapted model has another outcome."""
    return choose(SOURCE, [GOOD[0]._replace(outcome=changed), *GOOD[1:]], diagnosis)


def test_where_domains_are_apart_the_model_with_which_the_others_agree_is_chosen() -> None:
    decision = choose(SOURCE, GOOD, SHIFTED)
    agreement = {one.name: one.agreement for one in decision.table}
    assert decision.chosen == max(agreement, key=lambda name: agreement[name]) != "source"
    assert decision.table[decision.place].name == decision.chosen
    assert decision.accuracy.low > decision.table[0].accuracy.value


@pytest.mark.parametrize(
    ("diagnosis", "wrong", "reason"),
    [
        (_diagnosis("none", 0.5), 0.05, "no shift is found"),
        (_diagnosis("covariate", 0.8), 0.05, "the domains overlap"),
        (SHIFTED, 0.5, "the evidence for .* is weak"),
    ],
)
def test_without_evidence_the_source_model_is_kept(diagnosis: Diagnosis, wrong: float, reason: str) -> None:
    adapted = [one._replace(outcome=_outcome(LABELS, wrong, seed)) for seed, one in enumerate(GOOD, 7)]
    decision = choose(SOURCE, adapted, diagnosis)
    assert decision.chosen == "source"
    assert re.search(reason, decision.reason)


def test_a_target_that_does_not_spread_along_the_classes_of_the_source_is_taken_for_another_subject() -> None:
    fair = [one._replace(outcome=_outcome(LABELS, 0.2, seed)) for seed, one in enumerate(GOOD, 7)]
    noise = DRAWS.normal(size=(N, 20 * CLASSES)).astype(np.float32)
    features = np.tile(np.eye(CLASSES, dtype=np.float32)[LABELS], 20) + 0.1 * noise
    for target, chosen in ((features, "adapted"), (noise, "source")):
        everyone = [
            one._replace(outcome=one.outcome._replace(source_features=features, target_features=target))
            for one in (SOURCE, *fair)
        ]
        decision = choose(everyone[0], everyone[1:], SHIFTED)
        assert decision.chosen.startswith(chosen)
    assert "the target may be about something else" in decision.reason
    assert choose(SOURCE, fair, SHIFTED, spread=0.1).place == 0 < choose(SOURCE, fair, SHIFTED, spread=0.3).place


def test_close_agreement_makes_up_for_a_small_spread_of_more_than_two_classes() -> None:
    assert choose(SOURCE, GOOD, SHIFTED, spread=0.05).place > 0
    two = [
        one._replace(outcome=one.outcome._replace(target=one.outcome.target[:, :2], source=one.outcome.source[:, :2]))
        for one in (SOURCE, *GOOD)
    ]
    two = [one._replace(outcome=one.outcome._replace(labels=np.minimum(LABELS, 1))) for one in two]
    told = SHIFTED._replace(mix=None)
    assert [choose(two[0], two[1:], told, spread=spread).place > 0 for spread in (0.05, 0.3)] == [False, True]


def test_models_that_only_agree_as_the_source_model_does_are_not_chosen() -> None:
    decision = choose(SOURCE._replace(outcome=_outcome(LABELS, 0.02, 1)), GOOD, SHIFTED)
    assert decision.chosen == "source" and "weak" in decision.reason


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (_outcome(LABELS, 0.0, 5, source_wrong=0.3), "accuracy on held-out source examples changes by -"),
        (
            _outcome(np.minimum(LABELS, 1), 0.0, 5),
            "it predicts 'c' for 0% of the target, far from the estimated 28% to 38%",
        ),
        (_outcome(LABELS * 0, 0.0, 5), "collapse to 1 of 3 classes"),
        (_outcome(LABELS, 0.0, 5)._replace(target=SOURCE.outcome.target, source=SOURCE.outcome.source), "no validator"),
    ],
)
def test_a_veto_says_why_and_keeps_a_model_from_being_chosen(changed: Outcome, reason: str) -> None:
    candidates = [Candidate("doubtful", "alignment", changed), *GOOD]
    decision = choose(SOURCE, candidates, SHIFTED, names=("a", "b", "c"))
    assert any(reason in veto for veto in decision.table[1].vetoes)
    assert decision.chosen != "doubtful"
    assert not any(one.vetoes for one in decision.table[2:])


def _mixed(shares: np.ndarray) -> tuple[Candidate, Candidate, np.ndarray]:
    """A calibrated source model, its correction for a target with such shares, and the target's classes."""
    draws = np.random.default_rng(3)
    truth = draws.choice(CLASSES, N, p=shares)
    both = [
        softmax(2.25 * np.eye(CLASSES)[of] + 1.5 * draws.normal(size=(N, CLASSES)), axis=1) for of in (LABELS, truth)
    ]
    plain = _outcome(truth, 0.0, 1)._replace(source=both[0], target=both[1])
    odds = both[1] * shares
    better = plain._replace(target=odds / odds.sum(axis=1, keepdims=True))
    return Candidate("source", "source", plain), Candidate("em", "weighting", better), truth


def test_where_only_the_mix_differs_its_correction_is_chosen_and_no_alignment() -> None:
    source, corrected, truth = _mixed(SKEWED)
    decision = choose(source, [*GOOD, corrected], _diagnosis("label", 0.5, SKEWED))
    assert decision.chosen == "em"
    right = [(one.outcome.target.argmax(axis=1) == truth).mean() for one in (source, corrected)]
    assert right[1] - right[0] == pytest.approx(decision.table[-1].gain, abs=0.05)
    assert decision.accuracy.low < right[1] < decision.accuracy.high


def test_a_correction_of_a_mix_that_may_be_that_of_the_source_is_not_chosen() -> None:
    source, corrected, _ = _mixed(SKEWED)
    told = _diagnosis("label", 0.5, SKEWED)
    wide = told._replace(mix=Mix(SKEWED, np.zeros(3), np.ones(3)))
    decision = choose(source, [corrected], wide)
    assert decision.chosen == "source" and "only the mix of classes differs" in decision.reason


def test_an_even_vote_and_no_candidates_keep_the_source_model() -> None:
    assert choose(SOURCE, [], SHIFTED).chosen == "source"
    assert choose(SOURCE, GOOD[:1], SHIFTED).chosen == "source"


def test_labelled_target_examples_decide_where_they_can() -> None:
    few = np.arange(60)
    checked = [few < 30, few < 52, few < 31]
    overlap = _diagnosis("covariate", 0.8)
    decision = choose(SOURCE, GOOD[:2], overlap, checked=checked)
    assert decision.place == 1
    assert decision.reason == "it is right on 52 of 60 labelled target examples, the source model on 30"
    assert choose(SOURCE, GOOD[:2], overlap, checked=[few < 30, few < 34, few < 31]).place == 0
    worse = choose(SOURCE, GOOD, SHIFTED, checked=[few < 40, *[few < 20] * 3])
    assert worse.place == 0 and "20 of 60 labelled target examples" in worse.table[1].vetoes[-1]


@pytest.mark.parametrize(
    ("wrong", "diagnosis", "chosen"),
    [(0.02, OVERLAPPING, "experts"), (0.2, OVERLAPPING, "source"), (0.02, SHIFTED, "adapted")],
)
def test_experts_take_the_place_of_the_source_model_where_the_source_shows_that_they_are_better(
    wrong: float, diagnosis: Diagnosis, chosen: str
) -> None:
    plain = SOURCE._replace(outcome=_outcome(LABELS, 0.6, 1, source_wrong=0.2))
    good = [one._replace(outcome=_outcome(LABELS, 0.05, 5 + n, source_wrong=0.2)) for n, one in enumerate(GOOD)]
    several = Candidate("experts", "domains", _outcome(LABELS, 0.6, 9, source_wrong=wrong))
    decision, without = choose(plain, [*good, several], diagnosis), choose(plain, good, diagnosis)
    assert decision.chosen.split(" ")[0] == chosen
    assert decision.table[1].agreement == without.table[1].agreement  # experts are no judges
