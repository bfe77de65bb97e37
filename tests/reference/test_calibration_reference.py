"""Temperature against a brute-force grid, calibration error against longhand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from headstart.numerics.calibration import expected_calibration_error, fit_temperature


@pytest.mark.parametrize(("true", "n"), [(0.3, 400), (1.0, 60), (2.5, 400), (6.0, 3000)])
def test_the_temperature_is_the_best_of_a_fine_grid(true: float, n: int) -> None:
    generator = np.random.default_rng(n)
    logits = generator.normal(size=(n, 4)) * 3
    labels = np.array([generator.choice(4, p=row) for row in softmax(logits / true, axis=1)])
    grid = np.exp(np.linspace(np.log(0.05), np.log(20), 301))

    def loss(temperature: float) -> float:
        likelihood = -n * log_loss(labels, softmax(logits / temperature, axis=1), labels=range(4))
        return np.log(temperature) ** 2 / 2 - likelihood

    found = fit_temperature(logits, labels)
    losses = [loss(temperature) for temperature in grid]
    assert loss(found) <= min(losses) + 1e-6
    assert found == pytest.approx(grid[int(np.argmin(losses))], rel=0.02)
    assert found == pytest.approx(true, rel=0.35)


def test_the_calibration_error_equals_longhand() -> None:
    generator = np.random.default_rng(0)
    confidence = generator.uniform(0.2, 1, size=300)
    correct = generator.random(300) < confidence**2
    weights = generator.integers(0, 4, size=(5, 300)).astype(float)
    for row, value in zip(weights, expected_calibration_error(confidence, correct, weights)):
        error = 0.0
        for b in range(15):
            inside = (confidence > b / 15) & (confidence <= (b + 1) / 15)
            if row[inside].sum() == 0:
                continue
            accuracy = np.average(correct[inside], weights=row[inside])
            mean = np.average(confidence[inside], weights=row[inside])
            error += row[inside].sum() / row.sum() * abs(accuracy - mean)
        assert value == pytest.approx(error, abs=1e-12)
