"""Classification from labels to rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from head_shapes import SHAPES, Shapes
from headstart.contracts.carriers import Batch, State
from headstart.contracts.features import Features
from headstart.contracts.prediction import Prediction
from headstart.contracts.presentation import presentation_of
from headstart.engine.solved.solve import solve_head
from headstart.kernel.errors import DataError
from headstart.numerics.calibration import fit_temperature
from headstart.tasks.classification.task import BoundClassification, Classification
from labelled import blobs, labelled


def bound(*names: str) -> BoundClassification:
    return Classification().bind(labelled(list(names)), SHAPES)


def bound_to(labels: np.ndarray) -> BoundClassification:
    return Classification().bind(labelled([f"c{k}" for k in labels]), SHAPES)


def batch_of(labels: Tensor) -> Batch:
    return Batch(State(torch.zeros(len(labels), 1)), {"label": labels}, torch.arange(len(labels)))


def test_binding_learns_names_in_natural_order_and_counts() -> None:
    task = bound("grade 10", "grade 2", "grade 10")
    assert task.classes == ("grade 2", "grade 10")
    assert task.counts == (1, 2)


def test_whole_numbers_sort_by_size_and_may_come_as_floats() -> None:
    task = Classification().bind(labelled([10, 9, 9]), SHAPES)
    assert task.classes == ("9", "10")
    assert Classification().bind(labelled([10.0, 9.0, 9.0]), SHAPES) == task
    assert task.targets(labelled([10.0, 9.0]))["label"].tolist() == [1, 0]


def test_truth_values_are_classes() -> None:
    assert Classification().bind(labelled([True, False]), SHAPES).classes == ("False", "True")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", None, "b", " ", None, None], r"4 of 6 examples have no label .* first row-1, row-3, row-4 and 1 more"),
        ([1.0, float("nan"), 2.0], "1 of 3 examples have no label .*row-1"),
        (["a", "a"], "all 2 labels are 'a'.*at least two classes"),
        ([0.1, 0.25, 0.7], "decimal numbers with 3 different values in 3 rows.*'regression'"),
    ],
)
def test_labels_that_cannot_serve_are_refused(labels: list[object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Classification().bind(labelled(labels), SHAPES)


def test_decimal_ratings_of_few_values_serve_when_asked_for() -> None:
    assert Classification().bind(labelled([0.5, 1.0, 1.5] * 4), SHAPES).classes == ("0.5", "1", "1.5")


def test_a_label_that_binding_did_not_see_is_named_with_the_nearest_class() -> None:
    with pytest.raises(DataError, match=r"class 'cats' is not known. Did you mean 'cat'\? 2 examples .* row-1, row-2"):
        bound("cat", "dog").targets(labelled(["dog", "cats", "cow"]))


def test_given_classes_are_kept_and_others_refused() -> None:
    given = Classification(classes=("b", "a", "c"))
    assert given.bind(labelled(["a", "b", "b"]), SHAPES).counts == (2, 1, 0)
    with pytest.raises(DataError, match="class 'z' is not known"):
        given.bind(labelled(["a", "z"]), SHAPES)


def test_a_fresh_head_is_small_and_starts_from_equal_chances() -> None:
    head = bound("a", "b", "c").head(Shapes(64))
    assert head.weight.shape == (3, 64)
    assert 0.005 < head.weight.std() < 0.02
    assert (head.bias == 0).all()


def test_decoded_logits_become_probabilities_at_the_fitted_temperature() -> None:
    task = bound("a", "b")
    prediction = task.predict(torch.nn.Identity(), Features(torch.tensor([[0.0, 2.0]])), {})
    assert prediction.columns["logits"].dtype == np.float64
    assert task.evaluation.finish(prediction, {}).columns["probabilities"][0, 1] == pytest.approx(1 / (1 + np.exp(-2)))
    cooled = task.evaluation.finish(prediction, {"temperature": 2.0})
    assert cooled.columns["probabilities"][0, 1] == pytest.approx(1 / (1 + np.exp(-1)))


def test_calibration_softens_logits_that_are_too_sure() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 500)
    right = generator.random(500) < 0.75
    logits = 8.0 * np.eye(2)[np.where(right, labels, 1 - labels)]
    temperature = bound("a", "b").evaluation.calibrate(Prediction({"logits": logits}), {"label": labels})["temperature"]
    assert temperature == pytest.approx(8 / np.log(3), rel=0.15)


def test_rows_name_the_class_and_every_probability() -> None:
    task = bound("a", "b")
    rows = presentation_of(task).columns(Prediction({"probabilities": np.array([[0.9, 0.1], [0.3, 0.7]])}))
    assert rows["prediction"].tolist() == ["a", "b"]
    assert rows["confidence"].tolist() == [0.9, 0.7]
    assert rows["p_a"].tolist() == [0.9, 0.3] and rows["p_b"].tolist() == [0.1, 0.7]


def test_mistakes_are_the_most_confident_wrong_answers() -> None:
    task = bound("a", "b")
    prediction = Prediction({"probabilities": np.array([[0.9, 0.1], [0.999, 0.001], [0.6, 0.4], [0.2, 0.8]])})
    mistakes = presentation_of(task).mistakes(prediction, {"label": np.array([1, 1, 1, 1])}, most=2)
    assert [(m.row, m.truth, m.predicted, m.weight_text) for m in mistakes] == [
        (1, "b", "a", "99 % sure"),
        (0, "b", "a", "90 % sure"),
    ]


def test_exhibits_count_confusions_and_leave_undefined_scores_empty() -> None:
    task = bound("a", "b", "c")
    probabilities = np.array([[0.8, 0.2, 0], [0.7, 0.3, 0], [0.1, 0.9, 0]])
    matrix, reliability, classes = presentation_of(task).panels(
        Prediction({"probabilities": probabilities}), {"label": np.array([0, 1, 1])}
    )
    assert matrix.counts == ((1, 0, 0), (1, 1, 0), (0, 0, 0))
    assert sum(piece.n for piece in reliability.bins) == 3
    assert classes.rows[0] == ("a", 0.5, 1.0, pytest.approx(2 / 3), 1)
    assert classes.rows[2][:3] == ("c", None, None)


def test_many_classes_show_their_most_frequent_confusions_instead() -> None:
    names = [f"c{k}" for k in range(41)]
    labels = np.array([0, 0, 1, 2])
    probabilities = np.eye(41)[[5, 5, 7, 2]]
    table = presentation_of(bound(*names)).panels(Prediction({"probabilities": probabilities}), {"label": labels})[0]
    assert table.rows == (("c0", "c5", 2), ("c1", "c7", 1))


def test_the_solved_head_separates_what_can_be_separated_and_says_how() -> None:
    features, labels = blobs(120, 20, 3, seed=0)
    task = bound_to(labels)
    head, chosen = solve_head(task, features, {"label": labels}, None, seed=0)
    fresh, fresh_labels = blobs(300, 20, 3, seed=1)
    with torch.no_grad():
        predicted = head(torch.from_numpy(fresh)).argmax(dim=1).numpy()
    assert (predicted == fresh_labels).mean() > 0.95
    assert chosen["folds"] == 5 and chosen["cv_score"] < 0
    assert head.state_dict().keys() == task.head(Shapes(20)).state_dict().keys()


def test_few_examples_that_happen_to_be_separable_do_not_choose_the_weakest_regularisation() -> None:
    features, labels = blobs(16, 100, 2, seed=0, noise=3)
    _, chosen = solve_head(
        Classification().bind(labelled([f"c{k}" for k in labels]), SHAPES), features, {"label": labels}, None, 0
    )
    assert chosen["cv_score"] > -0.3 and chosen["C"] <= 1.0


def test_the_solved_head_is_as_sure_as_it_may_be() -> None:
    (features, labels), (fresh, truth) = (
        blobs(count, 100, 2, seed=seed, noise=6) for count, seed in ((300, 0), (3000, 1))
    )
    head, _ = solve_head(
        Classification().bind(labelled([f"c{k}" for k in labels]), SHAPES), features, {"label": labels}, None, 0
    )
    with torch.no_grad():
        logits = head(torch.from_numpy(fresh)).numpy()
    assert 0.8 < fit_temperature(logits, truth) < 1.25


def test_solving_twice_with_one_seed_gives_the_same_head() -> None:
    features, labels = blobs(60, 10, 2, seed=0, noise=3)
    task = bound_to(labels)
    one, other = (solve_head(task, features, {"label": labels}, None, seed=4)[0] for _ in range(2))
    assert torch.equal(one.weight, other.weight)


def test_a_class_with_one_example_is_solved_at_a_fixed_strength() -> None:
    features, labels = blobs(3, 8, 3, seed=0, noise=0.1)
    task = bound_to(labels)
    head, chosen = solve_head(task, features, {"label": labels}, None, seed=0)
    assert chosen["folds"] == 0 and np.isnan(chosen["cv_score"]) and chosen["C"] == 0.01
    with torch.no_grad():
        assert head(torch.from_numpy(features)).argmax(dim=1).tolist() == labels.tolist()


def test_a_rare_class_does_not_stop_cross_validation() -> None:
    features, labels = blobs(60, 8, 2, seed=0)
    labels = np.where(np.arange(60) == 0, 2, labels)
    task = bound_to(labels)
    head, chosen = solve_head(task, features, {"label": labels}, None, seed=0)
    assert chosen["folds"] == 5 and torch.isfinite(head.weight).all()


def test_a_class_without_training_examples_gets_a_small_chance() -> None:
    features, labels = blobs(60, 8, 2, seed=0)
    task = Classification(classes=("c0", "c1", "c2")).bind(labelled([f"c{k}" for k in labels]), SHAPES)
    head, _ = solve_head(task, features, {"label": labels}, None, seed=0)
    with torch.no_grad():
        chances = head(torch.from_numpy(features)).softmax(dim=1)
    assert (chances[:, 2] < 0.05).all() and (chances[:, 2] > 0).all()


def test_folds_never_cut_through_a_group() -> None:
    generator = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 10)
    labels = generator.permutation(np.arange(40) % 2)[groups]
    features = (generator.normal(size=(40, 60))[groups] + 0.1 * generator.normal(size=(400, 60))).astype(np.float32)
    task = bound_to(labels)
    leaky = solve_head(task, features, {"label": labels}, None, seed=0)[1]
    honest = solve_head(task, features, {"label": labels}, groups, seed=0)[1]
    assert leaky["cv_score"] > -0.1  # a group's twin is in training, though the features say nothing of the class
    assert honest["cv_score"] < -0.6


def test_balanced_weights_help_the_rare_class() -> None:
    features, labels = blobs(400, 5, 2, seed=0, noise=3)
    kept = (labels == 0) | (np.arange(400) < 60)
    features, labels = features[kept], labels[kept]
    names = labelled([f"c{k}" for k in labels])
    recall = {}
    for candidate in ("none", "balanced"):
        task = Classification(class_weights=candidate).bind(names, SHAPES)
        head, _ = solve_head(task, features, {"label": labels}, None, seed=0)
        with torch.no_grad():
            recall[candidate] = (head(torch.from_numpy(features)).argmax(dim=1).numpy()[labels == 1] == 1).mean()
    assert recall["balanced"] > recall["none"] + 0.2


def test_constant_features_have_no_say() -> None:
    features, labels = blobs(60, 4, 2, seed=0)
    features[:, 1] = 7.0
    task = bound_to(labels)
    head, _ = solve_head(task, features, {"label": labels}, None, seed=0)
    assert (head.weight[:, 1] == 0).all() and torch.isfinite(head.weight).all()


def test_one_class_in_the_training_part_is_refused() -> None:
    with pytest.raises(DataError, match="the same class"):
        solve_head(bound("a", "b"), np.ones((4, 2), dtype=np.float32), {"label": np.zeros(4, dtype=int)}, None, seed=0)
