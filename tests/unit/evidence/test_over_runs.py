"""Means over seeds: the parts of their variance by hand, and resamples that are the same for each run."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from headstart.contracts.figures import Figure
from headstart.contracts.prediction import Prediction
from headstart.evidence.over_runs import joint_replicates, mean_over_runs, poisson_weights
from headstart.tasks.classification.metrics import classification_metrics

ACCURACY = classification_metrics(["no", "yes"])[0]


def right(answers: np.ndarray, units: range | list[str]) -> np.ndarray:
    """Accuracy in the joint resamples of a run that is right where the answers say so."""
    prediction = Prediction({"probabilities": np.eye(2)[answers.astype(int)]})
    targets = {"label": np.ones(len(answers), np.int64)}
    return joint_replicates([ACCURACY], targets, {"model": prediction}, [str(unit) for unit in units])["model"][
        "accuracy"
    ]


def test_the_interval_over_seeds_by_hand() -> None:
    replicates = np.random.default_rng(0).normal([[0.0], [1.0], [5.0]], size=(3, 50))
    runs = [Figure(value, value - 0.4, value + 0.5, 80) for value in (1.0, 2.0, 6.0)]
    centred = replicates - replicates.mean(axis=1, keepdims=True)
    shared = np.mean(centred.mean(axis=0) ** 2)
    own = np.sum(np.mean((centred - centred.mean(axis=0)) ** 2, axis=1)) / 2
    seeds = stats.t.ppf(0.975, 2) * math.sqrt((7.0 - own) / 3)
    left = shared / np.mean(centred**2)
    found = mean_over_runs(runs, replicates=replicates)
    assert found.low == pytest.approx(3.0 - math.hypot(seeds, 0.4 * math.sqrt(left)), abs=1e-12)
    assert found.high == pytest.approx(3.0 + math.hypot(seeds, 0.5 * math.sqrt(left)), abs=1e-12)


def test_resamples_do_not_narrow_figures_that_have_no_intervals_of_their_own() -> None:
    runs = [Figure(value, math.nan, math.nan, 80) for value in (1.0, 1.1, 1.2)]
    replicates = np.random.default_rng(0).normal(size=(3, 50))
    assert mean_over_runs(runs, replicates=replicates) == mean_over_runs(runs)


@pytest.mark.parametrize(("apart", "left"), [(0, 1.0), (150, 2 / 3), (300, 1 / 2)])
def test_examples_that_two_runs_share_count_once(apart: int, left: float) -> None:
    """The same answers of the same examples, of half of them, and of none: 1, (1 + 1/2) / 2 and 1/2 of the variance."""
    answers = np.arange(600) % 3 > 0
    pair = [right(answers[start : start + 300], range(start, start + 300)) for start in (0, apart)]
    runs = [Figure(2 / 3, 2 / 3 - 0.05, 2 / 3 + 0.05, 300)] * 2
    found = mean_over_runs(runs, replicates=np.stack(pair))
    assert (found.high - found.low) / 0.1 == pytest.approx(math.sqrt(left), rel=0.1 if apart else 1e-9)


def test_models_that_err_on_other_examples_leave_less_open_than_one() -> None:
    units, answers = range(400), np.ones(400, bool)
    models = [np.where(np.arange(400) % 8 == k, ~answers, answers) for k in range(4)]
    runs = [Figure(0.875, 0.84, 0.91, 400)] * 4
    found = mean_over_runs(runs, replicates=np.stack([right(model, units) for model in models]))
    # errors on other examples are correlated by -1/7: (1 - 3/7) / 4 of the variance
    assert (found.high - found.low) / 0.07 == pytest.approx(math.sqrt((1 - 3 / 7) / 4), rel=0.15)


@pytest.mark.parametrize(("overlap", "left"), [(0.0, 1.0), (0.25, (1 / 2 + 1 / 2 * 0.2))])
@pytest.mark.parametrize("value", [0.8, math.nan])
def test_resamples_that_show_nothing_are_of_models_that_err_alike(value: float, overlap: float, left: float) -> None:
    """Of a fifth of the data in each test part two test parts share a fifth."""
    found = mean_over_runs([Figure(0.8, 0.7, 0.87, 100)] * 2, overlap, np.full((2, 9), value))
    assert found.low == pytest.approx(0.8 - 0.1 * math.sqrt(left))
    assert found.high == pytest.approx(0.8 + 0.07 * math.sqrt(left))


def test_how_often_an_example_counts_is_poisson_and_its_own() -> None:
    seeds = np.random.default_rng(1).integers(0, 2**63, 2000).astype(np.uint64)
    drawn = poisson_weights(seeds, np.arange(100))
    shares = [np.mean(drawn == count) for count in range(5)]
    assert shares == pytest.approx(stats.poisson.pmf(range(5), 1.0), abs=4e-3)
    assert abs(np.corrcoef(drawn[:, :40].T)[np.triu_indices(40, 1)]).mean() < 0.1
    np.testing.assert_array_equal(poisson_weights(seeds[7:9], np.arange(50, 100)), drawn[50:, 7:9])


def test_groups_are_drawn_whole_and_the_order_of_the_rows_is_of_no_matter() -> None:
    answers = np.arange(40) % 4 > 0
    order = np.random.default_rng(2).permutation(40)
    units = [f"patient {k // 4}" for k in range(40)]
    np.testing.assert_allclose(right(answers[order], [units[k] for k in order]), right(answers, units))
    assert np.ptp(right(answers, units)) < 1e-12  # each patient is right in 3 of 4
