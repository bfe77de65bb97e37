"""Growing subsets: what they hold, who is predicted, and what is measured of it."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.contracts.prediction import Prediction
from headstart.evidence.folds import folds
from headstart.evidence.subset_probes import DRAWS, growing_order, halves, measured, nested_subsets
from headstart.tasks.classification.metrics import classification_metrics

STRATA = np.repeat([0, 1, 2], [600, 300, 100])
ACCURACY = classification_metrics()[0]


@pytest.mark.parametrize(("largest", "fewest", "sizes"), [(750, 20, [46, 93, 187, 375, 750]), (100, 30, [50, 100])])
def test_sizes_are_halves(largest: int, fewest: int, sizes: list[int]) -> None:
    assert halves(largest, fewest) == sizes


@pytest.mark.parametrize("size", [30, 100, 333])
def test_every_beginning_holds_the_strata_in_proportion(size: int) -> None:
    rows = np.random.default_rng(0).permutation(1000)[:900]
    order = growing_order(rows, STRATA, None, 1)
    assert sorted(order) == sorted(rows)
    shares = np.bincount(STRATA[order[:size]], minlength=3) / size
    assert shares == pytest.approx([0.6, 0.3, 0.1], abs=2 / size + 0.02)


def test_units_stay_together() -> None:
    units = np.random.default_rng(0).integers(0, 200, 1000)
    drawn = units[growing_order(np.arange(1000), np.zeros(1000, int), units, 1)]
    assert (np.diff(drawn) != 0).sum() + 1 == len(np.unique(units))


def test_no_probe_sees_the_fold_that_it_predicts_and_smaller_subsets_lie_within_larger_ones() -> None:
    cut, calls = folds(np.arange(1000), STRATA, None, 4, 0), list[tuple[np.ndarray, np.ndarray]]()

    def learn(rows: np.ndarray, asked: np.ndarray) -> Prediction:
        calls.append((rows, asked))
        return Prediction({"row": asked})

    subsets = nested_subsets(cut, STRATA, None, [100, 200, 700], 0)
    found = subsets.predictions(learn)
    assert [len(draws) for draws in found] == [DRAWS, DRAWS, 1]
    assert all(np.array_equal(one.columns["row"], np.arange(1000)) for draws in found for one in draws)
    assert all(not np.isin(rows, asked).any() for rows, asked in calls)
    for small, large in zip(calls[: 4 * DRAWS], calls[4 * DRAWS : 8 * DRAWS]):
        assert np.isin(small[0], large[0]).all()


def test_a_size_is_measured_as_the_mean_of_its_draws_under_the_same_resamples() -> None:
    draws = np.random.default_rng(0)
    labels = draws.integers(0, 2, 60)
    predictions = [[Prediction({"probabilities": draws.random((60, 2))}) for _ in range(count)] for count in (2, 2, 1)]
    found = measured(ACCURACY, {"label": labels}, [10, 20, 40], predictions, None, 0)
    right = [
        np.mean([one.columns["probabilities"].argmax(1) == labels for one in size], axis=0) for size in predictions
    ]
    assert found.values == pytest.approx([one.mean() for one in right])
    assert found.replicates.shape == (1000, 3)
    assert np.cov(found.replicates.T) == pytest.approx(np.cov(right) / 60, abs=0.001)
