"""Figures, comparisons, slices and draws."""

from __future__ import annotations

import math

import numpy as np
import pytest

from head_shapes import SHAPES
from headstart.contracts.prediction import Prediction
from headstart.evidence.comparison import compare, figures, slice_figures
from headstart.tasks.classification.task import Classification
from headstart.tasks.regression.metrics import regression_metrics
from labelled import labelled

TASK = Classification().bind(labelled(["a", "b"]), SHAPES)
ACCURACY, LOG_LOSS = TASK.evaluation.primary, TASK.evaluation.metrics[4]


def predicted(labels: np.ndarray, right: np.ndarray, confidence: float = 0.8) -> Prediction:
    """Finished predictions of two classes that are right where `right` says so."""
    chosen = np.where(right, labels, 1 - labels)
    return Prediction({"probabilities": np.where(np.arange(2) == chosen[:, None], confidence, 1 - confidence)})


def labels_of(n: int) -> np.ndarray:
    return np.arange(n) % 2


def test_every_metric_gets_a_figure_whose_interval_contains_it() -> None:
    labels = labels_of(100)
    found = figures(TASK.evaluation.metrics, {"label": labels}, predicted(labels, np.arange(100) % 5 > 0), seed=0)
    assert list(found) == ["accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "log_loss", "ece"]
    assert found["accuracy"].value == 0.8 and found["accuracy"].n == 100
    for name, figure in found.items():
        assert figure.low < figure.value < figure.high or name == "ece"
    assert found["accuracy"].low == pytest.approx(0.712, abs=0.01)  # Wilson's interval for 80 of 100: 0.711 to 0.867
    assert found["accuracy"].high == pytest.approx(0.867, abs=0.01)


def test_the_same_seed_gives_the_same_figures() -> None:
    labels = labels_of(60)
    given = TASK.evaluation.metrics, {"label": labels}, predicted(labels, np.arange(60) % 4 > 0)
    assert figures(*given, seed=1) == figures(*given, seed=1) != figures(*given, seed=2)


def test_groups_that_stand_or_fall_together_widen_the_interval_and_are_counted() -> None:
    labels, groups = labels_of(200), np.repeat(np.arange(20), 10)
    prediction = predicted(labels, groups % 4 > 0)
    plain = figures(TASK.evaluation.metrics, {"label": labels}, prediction, seed=0)["accuracy"]
    grouped = figures(TASK.evaluation.metrics, {"label": labels}, prediction, groups=groups, seed=0)["accuracy"]
    assert grouped.n == 20 and plain.n == 200
    assert grouped.high - grouped.low > 2.5 * (plain.high - plain.low)


def test_thirty_right_of_thirty_is_not_certainty() -> None:
    labels = labels_of(30)
    found = figures(TASK.evaluation.metrics, {"label": labels}, predicted(labels, np.ones(30, dtype=bool)), seed=0)
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc"):
        assert found[name].value == found[name].high == 1.0
        assert 0.85 < found[name].low < 0.9


def test_an_undefined_metric_is_nan_throughout() -> None:
    figure = figures(
        TASK.evaluation.metrics,
        {"label": np.ones(20, dtype=int)},
        predicted(np.ones(20, dtype=int), np.arange(20) > 3),
        seed=0,
    )
    assert all(map(math.isnan, figure["roc_auc"][:3]))
    assert figure["accuracy"].value == 0.8


def test_regression_has_figures_too() -> None:
    generator = np.random.default_rng(0)
    truth = generator.normal(size=150)
    prediction = Prediction({"value": truth + 0.5 * generator.normal(size=150)})
    found = figures(regression_metrics(), {"label": truth}, prediction, seed=0)
    assert list(found) == ["r2", "mae", "rmse"]
    assert found["r2"].low < found["r2"].value < found["r2"].high < 1
    assert 0.5 * math.sqrt(2 / math.pi) == pytest.approx(found["mae"].value, abs=0.08)


def test_a_clear_lead_is_called_better_and_from_the_other_side_worse() -> None:
    labels = labels_of(100)
    strong, weak = predicted(labels, np.arange(100) >= 5), predicted(labels, np.arange(100) >= 25)
    lead = compare(ACCURACY, {"label": labels}, strong, weak, seed=0)
    assert lead.verdict == "better" and lead.figure.value == pytest.approx(0.2) and lead.figure.n == 100
    back = compare(ACCURACY, {"label": labels}, weak, strong, seed=0)
    assert back.verdict == "worse" and back.figure.value == pytest.approx(-0.2)


def test_a_lower_loss_is_better() -> None:
    labels = labels_of(100)
    right = np.arange(100) % 10 > 0
    found = compare(LOG_LOSS, {"label": labels}, predicted(labels, right, 0.9), predicted(labels, right, 0.6), seed=0)
    assert found.verdict == "better" and found.figure.value > 0


def test_examples_count_by_their_weights() -> None:
    """The one prediction is right on half of the examples, the other on the other half, which counts nothing."""
    labels, first = labels_of(100), np.arange(100) < 50
    found = compare(
        ACCURACY,
        {"label": labels, "weight": np.where(first, 2.0, 1e-6)},
        predicted(labels, first),
        predicted(labels, ~first),
        seed=0,
    )
    assert found.verdict == "better" and found.figure.value == pytest.approx(1.0)


def test_pairing_sees_what_unpaired_intervals_cannot() -> None:
    labels = labels_of(300)
    hard = np.arange(300) < 90
    one, other = predicted(labels, ~hard), predicted(labels, ~hard & (np.arange(300) % 25 > 0))
    apart = [
        figures(TASK.evaluation.metrics, {"label": labels}, prediction, seed=0)["accuracy"]
        for prediction in (one, other)
    ]
    assert apart[1].high > apart[0].low
    assert compare(ACCURACY, {"label": labels}, one, other, seed=0).verdict == "better"


def test_a_lead_of_two_examples_is_no_difference_shown() -> None:
    labels = labels_of(100)
    one, other = predicted(labels, np.arange(100) >= 5), predicted(labels, np.arange(100) >= 7)
    found = compare(ACCURACY, {"label": labels}, one, other, seed=0)
    assert found.verdict == "not significant" and found.figure.value == pytest.approx(0.02)


def test_equal_predictions_on_few_examples_leave_room_for_a_difference() -> None:
    labels = labels_of(20)
    prediction = predicted(labels, np.arange(20) > 3)
    found = compare(ACCURACY, {"label": labels}, prediction, prediction, seed=0)
    assert found.verdict == "not significant"
    assert -found.figure.low == found.figure.high == pytest.approx(0.18, abs=0.01)


def test_a_lead_in_one_group_of_examples_is_not_shown_over_groups() -> None:
    labels, groups = labels_of(100), np.arange(100) // 10
    other = predicted(labels, np.arange(100) >= 10)
    everything = predicted(labels, np.ones(100, dtype=bool))
    assert compare(ACCURACY, {"label": labels}, everything, other, seed=0).verdict == "better"
    assert compare(ACCURACY, {"label": labels}, everything, other, groups=groups, seed=0).verdict != "better"


def test_each_slice_has_its_figures_and_the_worst_is_named() -> None:
    labels = labels_of(100)
    places = ["north"] * 50 + ["south"] * 40 + [None] * 7 + ["moon"] * 3
    found = slice_figures(
        TASK, {"label": labels}, predicted(labels, (np.arange(100) < 50) | (np.arange(100) >= 70)), places, seed=0
    )
    assert [(piece.value, piece.n) for piece in found.slices] == [
        ("north", 50),
        ("south", 40),
        ("(empty)", 7),
        ("moon", 3),
    ]
    assert found.slices[1].figures["accuracy"].value == 0.5
    assert found.slices[3].figures == {}
    assert found.worst == "south"
    assert found.note == "1 value has fewer than 5 examples and no figures"


def test_a_single_slice_has_no_worst() -> None:
    labels = labels_of(10)
    assert slice_figures(TASK, {"label": labels}, predicted(labels, labels > 0), ["x"] * 10, seed=0).worst is None


def test_slices_keep_groups_whole() -> None:
    labels, groups = labels_of(40), np.arange(40) // 4
    found = slice_figures(
        TASK, {"label": labels}, predicted(labels, groups > 2), ["x"] * 20 + ["y"] * 20, groups=groups, seed=0
    )
    assert [piece.figures["accuracy"].n for piece in found.slices] == [5, 5]


def test_the_other_may_be_of_a_task_that_knows_fewer_classes() -> None:
    labels = np.arange(60) % 2
    right = np.arange(60) % 5 > 0
    old, better = predicted(labels, right), predicted(labels, np.ones(60, dtype=bool))
    wider = Classification().bind(labelled(["a", "b", "c"]), SHAPES)
    three = Prediction({"probabilities": np.pad(better.columns["probabilities"], ((0, 0), (0, 1)))})
    targets, metric = {"label": labels}, wider.evaluation.metrics[1]
    found = compare(metric, targets, three, old, seed=0, other_by=(TASK.evaluation.metrics[1], targets))
    assert found == compare(TASK.evaluation.metrics[1], targets, better, old, seed=0)
    assert found.verdict == "better"
