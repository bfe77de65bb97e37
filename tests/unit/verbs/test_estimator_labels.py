"""Weights, several labels, features and what is refused by name."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline

from headstart import TransferClassifier, TransferRegressor
from labelled import blobs

X, KINDS = blobs(60, 4, 3, seed=0, noise=1.0)
NUMBERS = X @ [1.0, 2.0, 0.0, -1.0]
TRUTH = np.stack([KINDS == 0, KINDS != 1, X[:, 0] > 0], axis=1).astype(int)
SETS = [{"red", "round", "big"} - {name for name, has in zip(("red", "round", "big"), row) if not has} for row in TRUTH]
WEIGHTS = np.array([0.0, 1.0, 2.0] * 20)
TARGETS = {"classes": KINDS, "two": KINDS > 0, "numbers": NUMBERS, "matrix": TRUTH}
BY_STEPS = {"tuning": {"epochs": 20, "batch_size": 10, "learning_rate": 0.02}}


def estimator(form: str, **changes: Any) -> Any:
    return TransferRegressor(**changes) if form == "numbers" else TransferClassifier(**changes)


def found(fitted: Any) -> np.ndarray:
    return fitted.predict_proba(X) if hasattr(fitted, "predict_proba") else fitted.predict(X)


@pytest.mark.slow
@pytest.mark.parametrize(("form", "balanced"), [*((form, False) for form in TARGETS), ("classes", True), ("two", True)])
def test_a_weight_of_two_is_a_row_twice_and_zero_is_none(form: str, balanced: bool) -> None:
    settings = {"task": {"class_weights": "balanced"}} if balanced else {}
    y, times = TARGETS[form], WEIGHTS.astype(int)
    weighted = estimator(form, settings=settings).fit(X, y, sample_weight=WEIGHTS)
    rows = np.random.default_rng(0).permutation(np.repeat(np.arange(60), times))
    repeated = estimator(form, settings=settings).fit(X[rows], y[rows])
    np.testing.assert_array_equal(found(weighted), found(repeated))
    plain = estimator(form, settings=settings).fit(X[times > 0], y[times > 0])
    assert not np.allclose(found(weighted), found(plain), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("form", TARGETS)
def test_weights_of_one_change_nothing_and_tiny_ones_hardly_count(form: str) -> None:
    y, rare = TARGETS[form], np.where(np.arange(60) < 5, 1e-9, 1.0)
    np.testing.assert_array_equal(
        found(estimator(form).fit(X, y, sample_weight=np.ones(60))), found(estimator(form).fit(X, y))
    )
    outlying = X.copy()
    outlying[:5] += 1e3
    fitted, without = estimator(form).fit(outlying, y, sample_weight=rare), estimator(form).fit(X[5:], y[5:])
    assert np.abs(found(fitted) - found(without)).mean() < 0.02


@pytest.mark.slow
@pytest.mark.parametrize("form", TARGETS)
def test_training_by_steps_goes_by_the_weights(form: str) -> None:
    """Half of the rows say the opposite and count next to nothing."""
    y = TARGETS[form]
    wrong = -y if form == "numbers" else (y == 0 if form in ("two", "matrix") else (y + 1) % 3).astype(y.dtype)
    both, labels = np.concatenate([X, X + 1e-6]), np.concatenate([y, wrong])
    for heavy, expected in ((0, y), (1, wrong)):
        weights = np.where(np.arange(120) < 60, *((1.0, 0.01) if heavy == 0 else (0.01, 1.0)))
        fitted = estimator(form, weights="random", tuning="full", backbone="table_mlp", settings=BY_STEPS).fit(
            both, labels, weights
        )
        assert fitted.score(X, expected) > 0.5


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0] * 59, r"sample_weight has the shape \(59,\); expected one weight for each of 60"),
        (np.ones((60, 1)), r"shape \(60, 1\)"),
        ([1.0] * 7 + [-1.0] * 53, "holds -1 in row 7 .53 such rows"),
        ([1.0] * 7 + [np.nan] * 53, "holds nan in row 7"),
        ([np.inf] + [1.0] * 59, "holds inf in row 0"),
        (["a"] * 60, "something other than numbers"),
        ([0.0] * 60, "zero for all 60"),
        (np.where(KINDS == 0, 1.0, 0.0), "one class only .0."),
    ],
)
def test_weights_that_cannot_serve_are_refused(weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TransferClassifier().fit(X, KINDS, sample_weight=weights)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["matrix", "lists of 0 and 1", "sparse", "frame", "lists", "sets", "Series"])
def test_several_labels_come_back_in_the_form_of_y(form: str) -> None:
    lists = [sorted(some) for some in SETS]
    y: Any = {
        "matrix": TRUTH,
        "lists of 0 and 1": TRUTH.tolist(),
        "sparse": csr_matrix(TRUTH),
        "frame": pd.DataFrame(TRUTH, columns=["red", "round", "big"]),
        "lists": lists,
        "sets": SETS,
        "Series": pd.Series(lists, index=range(7, 67)),
    }[form]
    fitted = pickle.loads(pickle.dumps(clone(TransferClassifier()).fit(X, y)))
    of_names = form in ("lists", "sets", "Series")
    expected = ["big", "red", "round"] if of_names else ["red", "round", "big"] if form == "frame" else [0, 1, 2]
    assert fitted.classes_.tolist() == expected
    predicted, probabilities, scores = fitted.predict(X), fitted.predict_proba(X), fitted.decision_function(X)
    assert probabilities.shape == scores.shape == (60, 3)
    chosen = fitted.labels_.matrix(predicted)[:, :3]
    np.testing.assert_array_equal(chosen, scores >= 0)
    truth = TRUTH[:, [2, 0, 1]] if of_names else TRUTH
    assert (chosen == truth).mean() > 0.85
    assert fitted.score(X, y) == pytest.approx((chosen == truth).all(axis=1).mean())
    if of_names:
        assert set(predicted[0]) == {name for name, has in zip(expected, chosen[0]) if has}


@pytest.mark.slow
def test_several_labels_are_cross_validated() -> None:
    grid = {"settings": [{}, {"task": {"separator": "|"}}]}
    search = GridSearchCV(TransferClassifier(), grid, cv=3, scoring="f1_macro", error_score="raise").fit(X, TRUTH)
    assert search.best_score_ > 0.7
    assert cross_val_score(TransferClassifier(), X, SETS, cv=KFold(3), error_score="raise").mean() > 0.5
    assert cross_val_score(TransferClassifier(), X, TRUTH, cv=3, scoring="roc_auc", error_score="raise").mean() > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("form", TARGETS)
def test_features_are_those_that_the_head_reads(form: str) -> None:
    fitted = estimator(form).fit(X, TARGETS[form])
    features, head = fitted.transform(X), fitted.model_.heads["head"]
    assert features.shape == (60, len(fitted.get_feature_names_out()))
    logits = features @ head.weight.detach().numpy().T + head.bias.detach().numpy()
    if form == "classes":
        np.testing.assert_allclose(logits, fitted.decision_function(X), atol=1e-4)
    steps = make_pipeline(estimator(form), LogisticRegression())
    assert steps.fit(X, TARGETS[form] if form in ("classes", "two") else KINDS).score(X, KINDS) >= 0


@pytest.mark.slow
def test_features_are_those_of_the_tuned_backbone() -> None:
    probe = TransferClassifier("table_mlp", weights="random").fit(X, KINDS)
    tuned = clone(probe).set_params(tuning="full", settings=BY_STEPS).fit(X, KINDS)
    assert probe.transform(X).shape == tuned.transform(X).shape
    assert not np.allclose(probe.transform(X), tuned.transform(X), atol=1e-3)
    logits = tuned.transform(X) @ tuned.model_.heads["head"].weight.detach().numpy().T
    assert (logits + tuned.model_.heads["head"].bias.detach().numpy()).argmax(axis=1).tolist() == tuned.predict(
        X
    ).tolist()


def test_one_regressor_per_column_takes_several_numbers() -> None:
    several = np.stack([NUMBERS, -NUMBERS], axis=1)
    assert MultiOutputRegressor(TransferRegressor()).fit(X, several).score(X, several) > 0.9
    with pytest.raises(ValueError, match=r"y has 2 columns.*MultiOutputRegressor"):
        TransferRegressor().fit(X, several)
    with pytest.raises(ValueError, match=r"y has 2 columns.*MultiOutputClassifier"):
        TransferClassifier().fit(X, np.stack([KINDS, KINDS], axis=1))


WORDS = [f"text {k}" for k in range(6)]


@pytest.mark.slow
@pytest.mark.parametrize("inputs", [X[:6], WORDS], ids=["numbers", "texts"])
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", "b", None, "a", None, "b"], "None in row 2; missing labels: 2 of 6"),
        ([1.0, 0.0, np.nan, 1.0, 0.0, 1.0], "in row 2; missing labels: 1 of 6"),
        (pd.Series(["a", "b", pd.NA] * 2), "in row 2;"),
        (["a", "b", 3, "a", "b", "a"], "'a' in row 0, 3 in row 2"),
        ([True, False, "x", True, False, True], "True in row 0, 'x' in row 2"),
        ([["a"], ["b"], None, ["a"], [], []], "None in row 2"),
        ([["a"], ["b", None], [], ["a"], [], []], "in row 1;"),
        ([["a"], ["b", 3], [], ["a"], [], []], "'a' in row 0, 3 in row 1"),
        ([[], [], [], [], [], []], "none of the 6 examples has a label"),
        ([["a"]] * 6, "same labels"),
        (np.zeros((6, 2), dtype=int), "none of the 6 examples has a label|same labels"),
        ([["a", " "], ["b"]] * 3, "an empty label in row 0"),
        (np.array([[0, 1], [1, np.nan], [1, 0]] * 2), "y has 2 columns and NaN or None in row 1"),
        (
            np.array([[0, 1], [1, -1], [1, 0]] * 2),
            "y has 2 columns; expected one class per example, or a matrix of 0 and 1",
        ),
        (["a", "b"], r"inconsistent numbers of samples: \[6, 2\]"),
        (["a"] * 6, "one class only .'a'."),
        ([], "inconsistent|empty"),
    ],
)
def test_labels_are_refused_by_row(inputs: Any, labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TransferClassifier().fit(inputs, labels)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1.0, 2.0, None, 4.0, 5.0, 6.0], "in row 2;"),
        ([1, 2, "x", 4, 5, 6], "1 in row 0, 'x' in row 2"),
        (list("123456"), "'1' in row 0; a regressor needs numbers"),
        ([True, False] * 3, "True in row 0; a regressor needs numbers"),
        ([1.0, 2.0, np.inf] * 2, "infinite labels in row 2"),
    ],
)
def test_numbers_to_predict_are_refused_by_row(labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TransferRegressor().fit(X[:6], labels)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([None, "b", "c", "d"], "row 0 of X holds None; expected a text"),
        (["a", "b", np.nan, "d"], "row 2 of X holds nan; expected a text"),
        (pd.Series(["a", None, "c", "d"]), "row 1 of X holds nan"),
        (np.array(["a", "b", 3, "d"], dtype=object), "row 2 of X holds int 3; expected a text"),
        ([("a", "b"), ("c", None), ("d", "e"), ("f", "g")], "row 1 of X .*expected a pair of texts"),
        ([], "empty"),
        (pd.Series([], dtype=object), "empty"),
        ([None] * 4, "None"),
        (None, "X is of type NoneType; expected a list"),
        ({"a": 1}, "X is of type dict; expected a list"),
        ((word for word in WORDS), "X is of type generator; expected a list"),
        ("text", "X is of type str; expected a list"),
    ],
)
def test_texts_are_refused_by_row(inputs: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TransferClassifier().fit(inputs, ["a", "b", "a", "b"])
