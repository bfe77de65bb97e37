"""Multi-label classification: what it learns of labels, what it solves, takes, writes and refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score

from head_shapes import SHAPES, Shapes
from headstart.contracts.features import Features
from headstart.contracts.prediction import Prediction
from headstart.contracts.presentation import presentation_of
from headstart.engine.solved.solve import solve_head
from headstart.kernel.errors import DataError
from headstart.pipeline.plan import Plan
from headstart.pipeline.prepare import choose_task
from headstart.tasks.multilabel.task import MultiLabel
from labelled import labelled

LISTS = [["red"], ["red", "round"], [], ["round", "big"], ["big"], []]
DRAWS = np.random.default_rng(0)


def bound(labels: Any = LISTS, separator: str = "", **settings: Any) -> MultiLabel:
    return MultiLabel(**settings).bind(labelled(labels, separator), SHAPES)


def problem(n: int = 200, labels: int = 3, width: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, width) and noisy linear labels (n, labels)."""
    draws = np.random.default_rng(1)
    features = draws.normal(size=(n, width))
    scores = features @ draws.normal(size=(width, labels)) + np.linspace(-1.5, 0.5, labels)
    return features.astype(np.float32), (draws.random((n, labels)) < expit(2 * scores)).astype(np.float32)


def finished(task: MultiLabel, logits: np.ndarray, **thresholds: float) -> Prediction:
    calibration = {f"threshold {name}": value for name, value in thresholds.items()}
    return task.evaluation.finish(Prediction({"logits": logits}), calibration)


# --- which labels are sets ---


@pytest.mark.parametrize(
    ("labels", "separator", "word"),
    [(LISTS, "", "lists"), (["red|big", "red", "big", None], "|", "'|'"), ([[1, 2], [2], []], "", "lists")],
)
def test_lists_and_separated_names_are_sets(labels: Any, separator: str, word: str) -> None:
    examples = labelled(labels, separator)
    assert word in (MultiLabel.suits(examples) or "")
    assert isinstance(choose_task(examples, Plan(data="x"))[0], MultiLabel)


@pytest.mark.parametrize("labels", [["cat", "dog", "a|b"], [1, 2, 1], [0.5, 1.5, 2.5]])
def test_other_labels_are_no_sets(labels: Any) -> None:
    assert MultiLabel.suits(labelled(labels)) is None


def test_single_names_can_be_sets_if_the_user_says_so() -> None:
    task = bound(["cat", "dog", "cat"])
    assert task.classes == ("cat", "dog") and task.targets(labelled(["dog"]))["label"].tolist() == [[0.0, 1.0]]


# --- binding ---


def test_binding_learns_names_in_natural_order_counts_and_separator() -> None:
    task = bound([["grade 10"], ["grade 2", "grade 10"], []])
    assert task.classes == ("grade 2", "grade 10")
    assert (task.counts, task.examples, task.separator) == ((1, 2), 3, "|")


def test_targets_are_rows_of_zeros_and_ones_and_no_label_is_legal() -> None:
    assert bound().targets(labelled(LISTS))["label"].tolist() == [
        [0, 1, 0],
        [0, 1, 1],
        [0, 0, 0],
        [1, 0, 1],
        [1, 0, 0],
        [0, 0, 0],
    ]


def test_an_empty_cell_among_separated_names_is_no_label_and_repeats_count_once() -> None:
    task = bound(["a|b|a", "a", None, " b |  "], "|")
    assert task.targets(labelled([None, " b |  "]))["label"].tolist() == [[0, 0], [0, 1]]


def test_labels_are_written_as_they_are_read() -> None:
    examples = labelled(["b;a", "a", None], ";")
    task = bound(["b;a", "a", None], ";")
    assert presentation_of(task).labels(examples) == ["a;b", "a", ""]
    assert presentation_of(task).tally(presentation_of(task).labels(examples)) == {"a": 2, "b": 1}


def test_lists_of_names_with_a_bar_are_written_with_another_separator() -> None:
    assert bound([["a|b"], ["c"], []]).separator == ";"


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([[], [], []], "none of the 3 examples has a label"),
        ([["a"], ["a"]], "all 2 examples have the same labels"),
        ([["a", "b"], ["b", "a"]], "all 2 examples have the same labels"),
        ([["a"], None, ["b"]], "1 of 3 examples have no label"),
        ([["a"], ["b", None]], None),
        ([["a", "b|c", "d;e", "f,g", "h\ti"], []], "contain every separator"),
    ],
)
def test_labels_that_cannot_serve_are_refused(labels: Any, message: str | None) -> None:
    if message is None:
        assert bound(labels).classes == ("a", "b")  # an empty entry of a list names nothing
        return
    with pytest.raises(DataError, match=message):
        bound(labels)


def test_a_list_of_something_else_is_named_with_its_row() -> None:
    with pytest.raises(DataError, match=r"1\.5 in row-1 is not a label name"):
        bound([[1.0], [1.5]])


def test_a_label_never_seen_is_named() -> None:
    with pytest.raises(DataError, match=r"label 'rund' is not known. Did you mean 'round'.*first row-1"):
        bound().targets(labelled([["red"], ["rund"]]))


def test_one_label_that_some_examples_lack_is_enough() -> None:
    task = bound([["a"], [], ["a"], []])
    features = np.array([[1.0], [-1.0], [2.0], [-2.0]])
    head, _ = solve_head(task, features, task.targets(labelled([["a"], [], ["a"], []])), None, 0)
    assert head.weight.shape == (1, 1) and head.weight.item() > 0


# --- further ---


def test_new_labels_come_after_the_known_ones() -> None:
    more = bound().extended(labelled([["apple"], ["zoo", "red"], []]), SHAPES)
    assert more.classes == ("big", "red", "round", "apple", "zoo")
    assert (more.counts, more.examples) == ((0, 1, 0, 1, 1), 3)


# --- training, solving ---


def test_the_loss_is_the_binary_cross_entropy_over_examples_and_labels() -> None:
    task, truth = bound(), torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    logits = torch.tensor([[2.0, -1.0, 0.5], [0.1, 0.2, 0.3]])
    p = torch.sigmoid(logits)
    expected = -(truth * p.log() + (1 - truth) * (1 - p).log()).mean()
    torch.testing.assert_close(task.losses({"logits": logits}, {"label": truth})["binary_cross_entropy"], expected)


def test_a_fresh_head_predicts_each_labels_frequency() -> None:
    task = bound([["rare", "often"], *[["often"]] * 15, *[[]] * 16])
    outputs = task.forward(task.head(Shapes(4)), Features(torch.zeros(1, 4)), {})
    p = torch.sigmoid(outputs["logits"])[0].tolist()
    assert p == pytest.approx([16.5 / 33, 1.5 / 33], rel=1e-4)


def beside_a_temperature(expected: np.ndarray, found: np.ndarray) -> float:
    """The greatest difference of logits (examples,) once those expected are divided by what suits the others best."""
    return float(np.abs(expected * (expected @ found / (expected @ expected)) - found).max())


def test_the_solved_head_is_a_logistic_regression_per_label() -> None:
    features, truth = problem()
    task = bound([[name for name, one in zip("abc", row) if one] for row in truth])
    head, chosen = solve_head(task, features, {"label": truth}, None, 0)
    standard = (features - features.mean(axis=0)) / features.std(axis=0)
    logits = head(torch.from_numpy(features)).detach().numpy()
    for k in range(3):
        fits = [LogisticRegression(C=c, tol=1e-8).fit(standard, truth[:, k]) for c in 10.0 ** np.arange(-5, 2.5, 0.5)]
        best = min(beside_a_temperature(fit.decision_function(standard), logits[:, k]) for fit in fits)
        assert best < 0.05, f"label {k} is not a logistic regression at any C"
    assert chosen["folds"] == 5 and np.isfinite(chosen["cv_score"])


def test_a_label_that_no_training_example_has_gets_a_constant_small_probability() -> None:
    features, truth = problem()
    truth[:, 1] = 0
    head, _ = solve_head(bound([["a", "b", "c"], []]), features, {"label": truth}, None, 0)
    p = torch.sigmoid(head(torch.from_numpy(features)))[:, 1]
    assert bool((p == p[0]).all()) and 0 < p[0].item() < 0.01


# --- thresholds ---


@pytest.mark.slow
def test_thresholds_are_chosen_per_label_for_f1_and_taken() -> None:
    _, truth = problem(400)
    task = bound([["a", "b", "c"], []])
    logits = 0.3 * (truth * 2 - 1) + DRAWS.normal(size=truth.shape) - 2.0  # all probabilities are low
    calibration = task.evaluation.calibrate(Prediction({"logits": logits}), {"label": truth})
    assert set(calibration) == {"threshold a", "threshold b", "threshold c"}
    chosen = task.evaluation.finish(Prediction({"logits": logits}), calibration).columns["chosen"]
    plain = task.evaluation.finish(Prediction({"logits": logits}), {}).columns["chosen"]
    for k, name in enumerate("abc"):
        p = expit(logits[:, k])
        above = p >= p[:, None]
        every = (2 * (above @ truth[:, k]) / (above.sum(axis=1) + truth[:, k].sum())).max()  # F1 at the best threshold
        assert f1_score(truth[:, k], chosen[:, k]) == pytest.approx(every)
        assert every > f1_score(truth[:, k], plain[:, k], zero_division=0) + 0.1
        assert 0 < calibration[f"threshold {name}"] < 0.5


def test_with_few_examples_of_a_label_its_threshold_stays() -> None:
    truth = np.zeros((40, 3), dtype=np.float32)
    truth[:4] = 1
    logits = DRAWS.normal(size=(40, 3))
    evaluation = bound([["a", "b", "c"], []]).evaluation
    found = evaluation.calibrate(Prediction({"logits": logits}), {"label": truth})
    assert set(found.values()) == {0.5}


# --- metrics ---


def test_metrics_are_scikit_learns() -> None:
    _, truth = problem(120)
    task = bound([["a", "b", "c"], []])
    prediction = finished(task, np.round(DRAWS.normal(size=truth.shape), 1), a=0.4, b=0.6)  # rounded: ties
    values = {metric.name: metric.score({"label": truth}, prediction) for metric in task.evaluation.metrics}
    p, chosen = prediction.columns["probabilities"], prediction.columns["chosen"]
    assert values["mean_average_precision"] == pytest.approx(average_precision_score(truth, p, average="macro"))
    assert values["micro_f1"] == pytest.approx(f1_score(truth, chosen, average="micro"))
    assert values["macro_f1"] == pytest.approx(f1_score(truth, chosen, average="macro"))
    assert values["average_precision_b"] == pytest.approx(average_precision_score(truth[:, 1], p[:, 1]))
    assert task.evaluation.primary.name == "mean_average_precision"


def test_a_label_without_a_positive_leaves_the_means_in_resamples_too() -> None:
    truth = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=np.float32)
    task = bound([["a", "b", "c"], []])
    prediction = finished(task, np.array([[2.0, -1, -1], [-1, 1, -2], [1, -2, -1], [-2, -1, -3]]))
    by_name = {metric.name: metric for metric in task.evaluation.metrics}
    assert np.isnan(by_name["average_precision_c"].score({"label": truth}, prediction))
    assert by_name["mean_average_precision"].score({"label": truth}, prediction) == 1.0
    assert by_name["macro_f1"].score({"label": truth}, prediction) == 1.0
    weights = np.array([[2.0, 0.0, 1.0, 1.0]])  # no positive of b is drawn either
    for name in ("mean_average_precision", "macro_f1"):
        assert by_name[name].replicates({"label": truth}, prediction)(weights) == pytest.approx([1.0])
    assert np.isnan(by_name["average_precision_b"].replicates({"label": truth}, prediction)(weights)).all()


# --- strata, rows, report ---


def test_strata_are_the_rarest_label_of_each_example() -> None:
    strata, names, held = MultiLabel().split_policy(labelled([["a", "c"], ["a", "b"], [], ["a", "c"], ["a"]]))
    assert strata.tolist() == [3, 2, 0, 3, 1] and held == [[1, 3], [1, 2], [0], [1, 3], [1]]
    assert [names[k] for k in strata] == ["c", "b", "no label", "c", "a"]


def test_rows_hold_the_labels_taken_and_every_probability() -> None:
    task = bound(["a|b", "b|c", None], "|")
    rows = presentation_of(task).columns(finished(task, np.array([[3.0, -3, 3], [-3, -3, -3]])))
    assert rows["prediction"].tolist() == ["a|c", ""]
    assert list(rows) == ["prediction", "p_a", "p_b", "p_c"]
    np.testing.assert_allclose(rows["p_b"], expit([-3, -3]))


def test_the_report_has_a_row_per_label() -> None:
    _, truth = problem(60)
    task = bound([["a", "b", "c"], []])
    prediction = finished(task, DRAWS.normal(size=truth.shape))
    table, reliability = presentation_of(task).panels(prediction, {"label": truth})
    assert [row[0] for row in table.rows] == ["a", "b", "c"]
    assert [row[-1] for row in table.rows] == truth.sum(axis=0).astype(int).tolist()
    assert table.rows[0][1] == pytest.approx(
        average_precision_score(truth[:, 0], prediction.columns["probabilities"][:, 0])
    )
    assert sum(bin.n for bin in reliability.bins) == truth.size


def test_mistakes_name_the_surest_error_of_an_example() -> None:
    task = bound(["a|b", "b|c", None], "|")
    truth = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0]], dtype=np.float32)
    prediction = finished(task, np.array([[-4.0, 3.0, -3], [-1, 2, -1], [-1, -1, 1.0]]))
    worst, second = presentation_of(task).mistakes(prediction, {"label": truth}, 5)
    assert (worst.row, worst.truth, worst.predicted, worst.weight_text) == (0, "a", "b", "a: 1 % sure")
    assert (second.row, second.truth, second.predicted) == (2, "", "c")
