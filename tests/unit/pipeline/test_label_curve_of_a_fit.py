"""The subsets that a fit's label curve is measured on: as many as the labels and the time allow."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.kernel.errors import DataError
from headstart.pipeline.label_curve import subsets_of


def strata(count: int, classes: int) -> np.ndarray:
    return np.arange(count) % classes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "limit", "sizes", "predicted"),
    [
        (400, 100.0, [37, 75, 150, 300], 400),  # all that there are
        (8000, 100.0, [375, 750, 1500, 3000, 6000], 2000),  # one fold of four is enough to predict
        (400, 3.0, [26, 53, 106, 212], 400),  # in less time, less is learnt from
    ],
)
def test_the_subsets_follow_from_labels_and_time(count: int, limit: float, sizes: list[int], predicted: int) -> None:
    found = subsets_of(strata(count, 2), None, lambda examples: examples / 1000, limit, 0)
    assert found.sizes == sizes
    assert len(found.rows) == predicted


@pytest.mark.parametrize(
    ("labels", "units", "limit", "words"),
    [
        (strata(90, 2), None, 100.0, "90 labelled examples are too few for a label curve, which needs about 111"),
        (strata(400, 20), None, 100.0, "400 labelled examples are too few"),  # four of each class in the smallest
        (np.repeat([0, 1], [398, 2]), None, 100.0, "400 labelled examples are too few"),  # both classes in all
        (strata(400, 2), np.arange(400) // 200, 100.0, "400 labelled examples"),
        (strata(400, 2), None, 0.5, "would take more than 500 ms"),
        (strata(400, 2), np.minimum(np.arange(400) // 5, 9), 100.0, "as large groups stay together"),
    ],
)
def test_there_are_none(labels: np.ndarray, units: np.ndarray | None, limit: float, words: str) -> None:
    with pytest.raises(DataError, match=words):
        subsets_of(labels, units, lambda examples: examples / 1000, limit, 0)


def test_a_time_that_no_head_can_be_solved_in_ends_the_search() -> None:
    with pytest.raises(DataError, match="would take more than 100 ms"):
        subsets_of(strata(400, 2), None, lambda _: 0.08, 0.1, 0)
