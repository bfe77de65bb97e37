"""The verdict says no more than the intervals allow, and names negative transfer."""

from __future__ import annotations

import pytest

from headstart.contracts.figures import MetricInfo
from headstart.pipeline.record import SMALL_NETWORK, Arm, Comparison, Epoch, FigureRow
from headstart.pipeline.verdict import verdict
from metric_infos import metric_infos

FIGURES = {
    "accuracy": FigureRow(value=0.915, low=0.87, high=0.951, n=153),
    "log_loss": FigureRow(value=0.3125, low=0.2, high=0.4, n=153),
}
ACCURACY = metric_infos("accuracy")["accuracy"]
ARM = Arm(title="linear probe on resnet18", figures=FIGURES, seconds=1.0)

WITH_SINGLE = (("worse", -0.03, "sex"), ("better", 0.02, "age"))
EPOCH = Epoch(epoch=1, train_loss=1.0, val_loss=1.0, val_metric=0.5, learning_rate=0.1, seconds=1.0)


def against(other: str, outcome: str, value: float, half: float, metric: str = "accuracy") -> Comparison:
    difference = FigureRow(value=value, low=value - half, high=value + half, n=153)
    return Comparison(against=other, metric=metric, difference=difference, verdict=outcome)


def said(*comparisons: Comparison, metric: str = "accuracy") -> tuple[str, bool]:
    arms = dict.fromkeys(["model", *(comparison.against for comparison in comparisons)], ARM)
    return verdict(metric, metric_infos(metric)[metric], arms, comparisons)


def test_it_begins_with_the_primary_figure_and_what_it_rests_on() -> None:
    assert said()[0].startswith("Accuracy 91.5 % (87.0–95.1) on 153 unseen examples. ")
    assert said(metric="log_loss")[0].startswith("Log loss 0.312 (0.200–0.400) on 153 unseen examples. ")
    assert verdict("accuracy", ACCURACY, {"model": ARM}, (), unit="label draws")[0].startswith(
        "Accuracy 91.5 % (87.0–95.1) on 153 label draws. "
    )


def test_transfer_that_helps() -> None:
    words, negative = said(against("scratch", "better", 0.21, 0.04))
    assert words.endswith("Transfer helps: +21.0 points (+17.0 to +25.0) over training from scratch.")
    assert not negative


def test_negative_transfer_is_named_loudly() -> None:
    words, negative = said(against("scratch", "worse", -0.05, 0.02))
    assert "NEGATIVE TRANSFER: −5.0 points (−7.0 to −3.0) compared with training from scratch." in words
    assert "Try another backbone, or train from scratch." in words
    assert negative


def test_a_difference_that_may_be_chance_is_not_claimed() -> None:
    for value in (0.02, -0.02):
        words, negative = said(against("scratch", "not significant", value, 0.05))
        assert "No significant transfer gain: " in words
        assert "helps:" not in words and "NEGATIVE" not in words and not negative


@pytest.mark.parametrize(
    ("outcome", "value", "sentence"),
    [
        ("better", 0.04, "Fine-tuning beats the frozen probe: +4.0 points (+3.0 to +5.0)."),
        ("worse", -0.04, "Fine-tuning is WORSE than the frozen probe: −4.0 points (−5.0 to −3.0). Use --tuning probe."),
        ("not significant", 0.004, "No significant gain over the frozen probe: +0.4 points (−0.6 to +1.4)."),
    ],
)
def test_tuning_is_held_against_the_frozen_probe(outcome: str, value: float, sentence: str) -> None:
    words, negative = said(against("probe", outcome, value, 0.01))
    assert sentence in words
    assert not negative, "losing to the probe is not a negative transfer"


def test_a_cut_comes_first_and_a_fine_tuning_beside_the_model_is_held_against_it() -> None:
    cut = "CUT OFF by the budget: full tuning of resnet18 made 3 of 100 epochs."
    comparisons = (against("tuned", "better", 0.2, 0.05),)
    arms = {"model": ARM, "tuned": ARM}
    words, negative = verdict("accuracy", ACCURACY, arms, comparisons, cut_off=cut)
    assert words.startswith(f"{cut} Accuracy 91.5 %") and not negative
    assert "Better than the fine-tuning, which is kept in the folder 'tuned': +20.0 points" in words


def test_losing_to_scratch_is_negative_transfer_also_when_the_probe_is_beaten() -> None:
    for order in (1, -1):
        both = (against("probe", "better", 0.04, 0.01), against("scratch", "worse", -0.04, 0.01))[::order]
        words, negative = said(*both)
        assert negative and "NEGATIVE TRANSFER" in words and "Fine-tuning beats" in words


def test_without_training_from_scratch_the_gain_is_unknown() -> None:
    assert "Transfer gain unknown" in said(against("probe", "better", 0.04, 0.01))[0]
    assert "Transfer gain unknown" not in said(against("scratch", "better", 0.04, 0.01))[0]


def test_figures_without_an_interval_stand_alone() -> None:
    nan = float("nan")
    arm = ARM.model_copy(update={"figures": {"accuracy": FigureRow(value=0.5, low=nan, high=nan, n=1)}})
    words, negative = verdict("accuracy", ACCURACY, {"model": arm}, ())
    assert words.startswith("Accuracy 50.0 % on 1 unseen") and not negative


@pytest.mark.parametrize(
    ("outcome", "title", "sentence"),
    [
        (
            "better",
            ARM.title,
            "Scratch was cut off after 1 of 67 epochs; the gain is an upper bound: +20.0 points (+10.0 to +30.0) over "
            "training from scratch.",
        ),
        (
            "better",
            SMALL_NETWORK,
            "is an upper bound: +20.0 points (+10.0 to +30.0) over a small network from scratch.",
        ),
        ("not significant", ARM.title, "over training from scratch; scratch was cut off after 1 of 67 epochs."),
        ("worse", ARM.title, "compared with training from scratch; scratch was cut off after 1 of 67 epochs. Try"),
    ],
)
def test_beating_a_training_that_was_cut_off_is_an_upper_bound(outcome: str, title: str, sentence: str) -> None:
    scratch = ARM.model_copy(update={"shortcoming": "cut off after 1 of 67 epochs", "title": title})
    words = verdict("accuracy", ACCURACY, {"model": ARM, "scratch": scratch}, (against("scratch", outcome, 0.2, 0.1),))
    assert sentence in words[0] and "Transfer helps" not in words[0]


@pytest.mark.parametrize(
    ("outcome", "sentence"),
    [
        ("better", "Beats TF-IDF with a linear model: +3.1 points (+1.1 to +5.1)."),
        ("not significant", "No better than TF-IDF with a linear model: +3.1 points (+1.1 to +5.1)."),
        (
            "worse",
            "WORSE than TF-IDF with a linear model, which needs no pretrained model: +3.1 points (+1.1 to +5.1).",
        ),
    ],
)
def test_a_model_is_held_against_the_classical_baseline(outcome: str, sentence: str) -> None:
    classical = Arm(title="TF-IDF with a linear model", figures=FIGURES, seconds=1.0)
    arms = {"model": ARM, "classical": classical}
    assert sentence in verdict("accuracy", ACCURACY, arms, [against("classical", outcome, 0.031, 0.02)])[0]


def test_a_constant_prediction_is_named_only_where_it_does_as_well() -> None:
    assert "every example" not in said(against("constant", "better", 0.3, 0.02))[0]
    arms = {"model": ARM, "constant": ARM.model_copy(update={"title": "always answering 'ham'"})}
    words = verdict("accuracy", ACCURACY, arms, [against("constant", "not significant", 0.0, 0.02)])[0]
    assert "No better than always answering 'ham': 0.0 points (−2.0 to +2.0)." in words


@pytest.mark.parametrize(
    ("constant", "said_so"),
    [
        (0.915, " examples, which equals always answering 'ham'. "),
        (0.93, " examples, which is worse than always answering 'ham', with 93.0 %. "),
        (0.91, " examples. "),
    ],
)
def test_a_headline_that_a_constant_answer_reaches_says_so(constant: float, said_so: str) -> None:
    figures = {"accuracy": FigureRow(value=constant, low=0.8, high=0.95, n=153)}
    answer = Arm(title="always answering 'ham'", figures=figures, seconds=0.0)
    assert said_so in verdict("accuracy", ACCURACY, {"model": ARM, "constant": answer}, ())[0]


@pytest.mark.parametrize("other", ["scratch", "probe", "classical", "constant"])
def test_a_difference_without_an_interval_is_undecided_and_says_why(other: str) -> None:
    row = FigureRow(value=0.2, low=float("nan"), high=float("nan"), n=60, reason="too few examples of 'spam': 2")
    found = Comparison(against=other, metric="accuracy", difference=row, verdict="undecided")
    words, negative = said(found)
    assert "undecided" in words.lower() and "+20.0 points (too few examples of 'spam': 2)" in words
    assert "significant" not in words and "helps" not in words.lower() and "beats" not in words.lower() and not negative


def test_tasks_that_joint_training_harms_are_named() -> None:
    of_sex, of_age = (against("single", outcome, value, 0.01, metric) for outcome, value, metric in WITH_SINGLE)
    infos = {one: MetricInfo(title=f"Accuracy of {one}", unit="share") for one in ("sex", "age")}
    arms = {"model": ARM.model_copy(update={"history": (EPOCH,)}), "single": ARM.model_copy(update={"seconds": 4.0})}

    def words(*compared: Comparison) -> str:
        return verdict("accuracy", ACCURACY, arms, compared, infos=infos)[0]

    harmed = "NEGATIVE INTERFERENCE: worse than a model for each task by accuracy of sex −3.0 points (−4.0 to −2.0)."
    helped = "Better than a model for each task by accuracy of age +2.0 points (+1.0 to +3.0)."
    mean = against("single", "worse", -0.01, 0.01)
    assert f"{harmed} {helped}" in words(mean, of_sex, of_age)
    even = of_age.model_copy(update={"verdict": "not significant"})
    assert "No significant difference from a model for each task, in 25% of their time." in words(even)
