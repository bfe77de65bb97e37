"""Figures without an interval, because what they rest on is too little, and the reason that they give."""

from __future__ import annotations

import math

import numpy as np
import pytest

from head_shapes import SHAPES
from headstart.contracts.figures import Figure
from headstart.contracts.prediction import Prediction
from headstart.evidence.comparison import compare, figures, slice_figures
from headstart.evidence.over_runs import mean_over_runs
from headstart.tasks.classification.task import Classification
from headstart.tasks.multilabel.metrics import multilabel_metrics
from labelled import labelled

TASK = Classification().bind(labelled(["ham", "spam"]), SHAPES)
OF_CLASSES = ("balanced_accuracy", "macro_f1", "roc_auc", "log_loss")


def case(spam: int, n: int = 60) -> tuple[dict[str, np.ndarray], Prediction]:
    labels = np.array([1] * spam + [0] * (n - spam))
    scores = np.clip(0.3 * labels + np.random.default_rng(0).uniform(0.1, 0.6, n), 0, 1)
    return {"label": labels}, Prediction({"probabilities": np.stack([1 - scores, scores], axis=1)})


@pytest.mark.parametrize("spam", [0, 1, 4])
def test_figures_over_classes_of_a_rare_one_have_no_interval_and_name_it(spam: int) -> None:
    found = figures(TASK.evaluation.metrics, *case(spam), seed=0)
    for name in OF_CLASSES:
        assert found[name].reason == f"too few examples of 'spam': {spam}"
        assert math.isnan(found[name].low) and math.isnan(found[name].high)
    assert found["accuracy"].low < found["accuracy"].value < found["accuracy"].high and not found["accuracy"].reason


def test_five_examples_of_each_class_give_intervals() -> None:
    found = figures(TASK.evaluation.metrics, *case(5), seed=0)
    assert found.pop("ece").reason == "no interval: chance adds to it"
    for figure in found.values():
        assert figure.low <= figure.value <= figure.high and not figure.reason


def test_of_many_classes_none_decides_alone_and_three_examples_of_each_will_do() -> None:
    labels = np.arange(90) % 30
    chosen = np.where(np.arange(90) % 7, labels, (labels + 1) % 30)
    task = Classification().bind(labelled([f"c{k:02d}" for k in range(30)]), SHAPES)
    prediction = Prediction({"probabilities": np.where(np.eye(30)[chosen] > 0, 0.71, 0.01)})
    found = figures(task.evaluation.metrics, {"label": labels}, prediction, seed=0)
    assert all(found[name].low < found[name].value < found[name].high for name in OF_CLASSES)


def test_groups_are_counted_not_their_examples() -> None:
    groups = np.repeat(np.arange(20), 3)
    found = figures(TASK.evaluation.metrics, *case(12), groups=groups, seed=0)
    assert found["roc_auc"].reason == "too few groups with examples of 'spam': 4"
    assert (
        figures(TASK.evaluation.metrics, *case(30), groups=np.repeat(np.arange(4), 15), seed=0)["accuracy"].reason
        == "too few groups: 4"
    )


def test_a_slice_without_a_class_has_no_interval_over_classes() -> None:
    targets, prediction = case(30)
    found = slice_figures(TASK, targets, prediction, ["spam only"] * 30 + ["rest"] * 30, seed=0)
    assert {piece.figures["macro_f1"].reason for piece in found.slices} == {
        "too few examples of 'ham': 0",
        "too few examples of 'spam': 0",
    }


def test_a_difference_on_a_rare_class_is_undecided_however_large() -> None:
    targets, strong = case(3)
    weak = Prediction({"probabilities": strong.columns["probabilities"][:, ::-1]})
    found = compare(TASK.evaluation.metrics[3], targets, strong, weak, seed=0)
    assert found.verdict == "undecided" and found.figure.reason == "too few examples of 'spam': 3"
    assert compare(TASK.evaluation.metrics[3], targets, strong, weak, seed=0, choosing=True).verdict == "better"


def test_many_rare_labels_are_counted_and_the_first_named() -> None:
    truth = np.zeros((40, 5))
    truth[:20, 0] = truth[:2, 1:] = 1
    prediction = Prediction({"probabilities": np.clip(truth, 0.2, 0.8), "chosen": truth > 0})
    metrics = multilabel_metrics("abcde")
    task = type("Judged", (), {"evaluation": type("Of", (), {"metrics": metrics})})
    found = figures(task.evaluation.metrics, {"label": truth}, prediction, seed=0)
    assert found["macro_f1"].reason == "too few examples of 'b': 2, 'c': 2, 'd': 2 and 1 more"
    assert found["mean_average_precision"].reason == "too few examples of 'b': 2, 'c': 2, 'd': 2 and 1 more"
    assert not found["micro_f1"].reason and not found["average_precision_a"].reason
    assert found["average_precision_e"].reason == "too few examples of 'e': 2"


def test_seeds_of_figures_without_intervals_have_none_and_say_why() -> None:
    runs = [Figure(0.5, math.nan, math.nan, 60, "too few examples of 'spam': 1")] * 3
    assert mean_over_runs(runs).reason == "too few examples of 'spam': 1" and math.isnan(mean_over_runs(runs).low)


def test_seeds_on_one_test_part_are_not_narrower_than_a_run() -> None:
    """By hand: v = (0.1 / t_99)^2, s^2 = 0, so that the degrees of freedom are those of v."""
    found = mean_over_runs([Figure(0.8, 0.7, 0.87, 100)] * 5)
    assert (found.low, found.high, found.n) == (pytest.approx(0.7), pytest.approx(0.87), 5)
    spread = mean_over_runs([Figure(value, value - 0.1, value + 0.07, 100) for value in (0.75, 0.8, 0.85)])
    assert spread.low < 0.7 and spread.high > 0.87
