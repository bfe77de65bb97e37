"""Regression from labels to rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from head_shapes import SHAPES, Shapes
from headstart.contracts.features import Features
from headstart.contracts.prediction import Prediction
from headstart.contracts.presentation import presentation_of
from headstart.engine.solved.solve import solve_head
from headstart.kernel.errors import DataError
from headstart.tasks.regression.presentation import RegressionPresentation
from headstart.tasks.regression.task import Regression
from labelled import labelled


def linear_data(n: int, seed: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    features = generator.normal(3, 5, size=(n, 6)).astype(np.float32)
    return features, 1000 + 20 * features[:, 0] - 7 * features[:, 1] + noise * generator.normal(size=n)


def test_binding_learns_mean_and_scale() -> None:
    task = Regression().bind(labelled([1, 2, 3.0]), SHAPES)
    assert (task.mean, task.scale) == (2.0, pytest.approx(np.sqrt(2 / 3)))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", "b"], r"'a' in row-0 is not a number.*'classification'"),
        ([True, False], "True in row-0 is not a number"),
        ([1.5, None, 2.0], "1 of 3 examples have no label .*row-1"),
        ([1.5, float("inf"), 2.0], "infinite labels in row-1"),
        ([2.5, 2.5], "all 2 labels are 2.5"),
        ([1.5, 1e160, -2e300], r"labels beyond 1e\+100, such as 1e\+160, in row-1, row-2.*another unit"),
        ([1.7e308, -1.7e308], r"labels beyond 1e\+100"),
        ([1e-300, 2e-300], "differ by 1e-300 at most.*another unit"),
        ([1e9, 1e9 + 1e-6], "differ by .* rounding.*Subtract"),
    ],
)
def test_labels_that_cannot_serve_are_refused(labels: list[object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Regression().bind(labelled(labels), SHAPES)


def test_decoding_goes_back_to_the_unit_of_the_target() -> None:
    task = Regression().restore({"mean": 100.0, "scale": 5.0})
    targets = {"label": torch.tensor([100.0, 110.0])}
    features = Features(torch.tensor([[0.0], [1.0]]))
    outputs = task.forward(torch.nn.Identity(), features, {})
    prediction = task.predict(torch.nn.Identity(), features, {})
    assert prediction.columns["value"].tolist() == [100.0, 105.0]
    assert task.losses(outputs, targets)["squared_error"].item() == pytest.approx(0.5)
    calibration = task.evaluation.calibrate(prediction, {"label": np.zeros(2)})
    assert task.evaluation.finish(prediction, calibration) is prediction
    assert presentation_of(task).columns(prediction)["prediction"].tolist() == [100.0, 105.0]


def test_strata_are_quantile_bins_of_equal_size() -> None:
    def strata(values: np.ndarray) -> list[int]:
        found: list[int] = Regression().split_policy(labelled(values.tolist())).strata.tolist()
        return found

    values = np.random.default_rng(0).exponential(size=200)
    assert np.bincount(strata(values)).tolist() == [20] * 10
    assert strata(values[:9]) == [0] * 9
    tied = strata(np.array([0.5] * 60 + [1.5] * 40))
    assert len(set(tied[:60])) == len(set(tied[60:])) == 1


def test_the_solved_head_predicts_in_the_unit_of_the_target() -> None:
    features, values = linear_data(80, 0, noise=1.0)
    task = Regression().bind(labelled(values.tolist()), SHAPES)
    head, chosen = solve_head(task, features, {"label": values}, None, seed=0)
    fresh, truth = linear_data(200, 1, noise=0.0)
    with torch.no_grad():
        predicted = task.predict(head, Features(torch.from_numpy(fresh)), {}).columns["value"]
    assert np.abs(predicted - truth).mean() < 1.0
    assert chosen["folds"] == 0 and chosen["alpha"] < 10
    assert head.state_dict().keys() == task.head(Shapes(6)).state_dict().keys()


def test_groups_are_held_out_whole() -> None:
    generator = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), 8)
    values = generator.normal(size=30)[groups]
    features = (generator.normal(size=(30, 50))[groups] + 0.1 * generator.normal(size=(240, 50))).astype(np.float32)
    task = Regression().bind(labelled(values.tolist()), SHAPES)
    leaky = solve_head(task, features, {"label": values}, None, seed=0)[1]
    honest = solve_head(task, features, {"label": values}, groups, seed=0)[1]
    assert leaky["cv_score"] > -0.1 and honest["cv_score"] < -0.5
    assert honest["folds"] == 5 and honest["alpha"] > leaky["alpha"]


def test_mistakes_are_the_largest_errors() -> None:
    prediction = Prediction({"value": np.array([1.0, 5.0, 2.0])})
    mistakes = RegressionPresentation().mistakes(prediction, {"label": np.array([1.0, 1.75, 3.0])}, most=5)
    assert [(m.row, m.truth, m.predicted, m.weight_text) for m in mistakes] == [
        (1, "1.75", "5", "off by 3.25"),
        (2, "3", "2", "off by 1"),
    ]


def test_exhibits_thin_the_scatter_and_show_errors_by_size() -> None:
    truth = np.arange(5000.0)
    scatter, table = RegressionPresentation().panels(Prediction({"value": truth * 0.9}), {"label": truth})
    assert len(scatter.x) == 2000 and scatter.x[0] == 0 and scatter.x[-1] == 4999
    assert "2000 of 5000" in scatter.note
    assert [row[4] for row in table.rows] == [1000] * 5
    assert table.rows[0][2] > table.rows[4][2]
    assert table.rows[4][3] == pytest.approx(0.1 * 4499.5)
