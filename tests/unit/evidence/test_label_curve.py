"""The label curve: against a longhand version, against learners whose law is known, and where there is none."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from headstart.evidence.label_curve import EXPONENTS, FLOORS, LabelCurve, Measured
from headstart.kernel.errors import DataError

SIZES = np.array([50, 100, 200, 400])


def simulated(
    draws: np.random.Generator, n: int, exponent: float, floor: float, level: float, sizes: np.ndarray = SIZES
) -> Measured:
    """Each example is wrong where its own threshold is below the error, so that the errors of all sizes go together."""
    errors = level * (floor + (1 - floor) * (sizes / sizes[-1]) ** -exponent)
    thresholds = draws.random((n, 1))
    noise = draws.random((n, len(sizes))) < 0.1  # some errors are chance
    right = np.where(noise, draws.random((n, len(sizes))) > errors, thresholds > errors).astype(float)
    weights = draws.multinomial(n, np.full(n, 1 / n), size=300)
    return Measured(sizes, right.mean(axis=0), weights @ right / n, n, (0.0, 1.0), True)


def longhand(measured: Measured, labels: float) -> tuple[float, float, float]:
    """Value and interval of a share, one law after the other."""
    errors = [1 - value for value in measured.values]
    covariance = np.cov((1 - measured.replicates).T)
    for place, (size, error) in enumerate(zip(measured.sizes, errors)):
        covariance[place, place] += (0.02 * error) ** 2 * math.sqrt(measured.sizes[-1] / size)
        covariance[place, place] += (0.3 / measured.independent) ** 2
    inverse, found = np.linalg.inv(covariance), []
    for exponent in EXPONENTS:
        for floor in FLOORS:
            g = np.array([floor + (1 - floor) * (size / measured.sizes[-1]) ** -exponent for size in measured.sizes])
            precision = g @ inverse @ g
            level = g @ inverse @ errors / precision
            misfit = (errors - level * g) @ inverse @ (errors - level * g)
            density = stats.norm.pdf(math.log(exponent), math.log(0.5), 0.6)
            density *= math.exp(-misfit / 2) / precision**0.5
            there = floor + (1 - floor) * (labels / measured.sizes[-1]) ** -exponent
            found.append((density, level * there, there**2 / precision))
    weights, means, variances = np.array(found).T
    weights /= weights.sum()
    p = float((weights * means).sum())
    variance = float((weights * (variances + (means - p) ** 2)).sum())
    variance += (0.02 * p) ** 2 * max(0.0, math.log2(labels / measured.sizes[-1]))
    z, trials = stats.norm.ppf(0.95), p * (1 - p) / variance
    centre, half = p + z**2 / (2 * trials), z * math.sqrt(variance + z**2 / (4 * trials**2))
    low, high = ((centre + side * half) / (1 + z**2 / trials) for side in (-1, 1))
    return 1 - p, 1 - high, 1 - low


@pytest.mark.parametrize("labels", [50, 400, 1000, 1600])
def test_the_forecast_is_the_longhand_one(labels: int) -> None:
    measured = simulated(np.random.default_rng(3), 500, 0.5, 0.4, 0.2)
    found = LabelCurve(measured).forecast(labels)
    assert (found.value, found.low, found.high) == pytest.approx(longhand(measured, labels), abs=1e-9)


@pytest.mark.slow
def test_nine_of_ten_intervals_hold_what_a_known_law_says_of_twice_the_labels() -> None:
    draws, held = np.random.default_rng(0), []
    while len(held) < 150:
        exponent, floor, level = 0.5 * np.exp(draws.normal(0, 0.6)), draws.random(), draws.uniform(0.05, 0.4)
        if level * (floor + (1 - floor) * (SIZES[0] / 400) ** -exponent) > 0.6:
            continue  # no metric falls so far
        found = LabelCurve(simulated(draws, 500, exponent, floor, level)).forecast(800)
        held.append(found.low <= 1 - level * (floor + (1 - floor) * 2**-exponent) <= found.high)
    assert 0.85 <= np.mean(held) <= 0.96


@pytest.mark.parametrize("exponent", [0.3, 0.5, 1.0])
def test_a_forecast_lies_between_no_gain_and_a_law_without_a_floor(exponent: float) -> None:
    measured = simulated(np.random.default_rng(0), 5000, exponent, 0.0, 0.3)
    found = LabelCurve(measured).forecast(800)
    assert measured.values[-1] < found.value < 1 - 0.3 * 2**-exponent + 0.02


def test_a_perfect_probe_is_expected_to_stay_near_it() -> None:
    measured = Measured(SIZES, np.ones(4), np.ones((300, 4)), 400, (0.0, 1.0), True)
    found = LabelCurve(measured).forecast(800)
    assert found.value == found.high == 1.0
    assert 0.98 < found.low < 1.0


def test_an_error_without_a_limit_gets_an_interval_of_its_logarithm() -> None:
    draws = np.random.default_rng(0)
    values = 2.0 * (SIZES / 400) ** -0.5
    measured = Measured(SIZES, values, values * draws.lognormal(0, 0.05, (300, 1)), 400, (0.0, math.inf), False)
    found = LabelCurve(measured).forecast(1600)
    assert 0 < found.low < found.value < found.high < 2.0
    assert found.low * found.high == pytest.approx(found.value**2)


@pytest.mark.slow
@pytest.mark.parametrize("labels", [100, 300, 800])
def test_the_labels_for_a_value_are_those_that_a_known_law_needs(labels: int) -> None:
    value = 1 - 0.3 * (0.3 + 0.7 * (labels / 400) ** -0.5)
    measured = [simulated(np.random.default_rng(seed), 1000, 0.5, 0.3, 0.3) for seed in range(20)]
    draws = np.random.default_rng(0)
    found = [LabelCurve(one).labels_for(draws.normal(value, 0.01), 0.01) for one in measured]
    assert np.median([one.value for one in found]) == pytest.approx(labels, rel=0.25)
    assert np.mean([one.low <= labels <= one.high for one in found]) >= 0.83


@pytest.mark.parametrize(("value", "labels"), [(0.99, math.inf), (0.3, 0.0)])
def test_a_value_off_the_curve_takes_no_number_of_labels(value: float, labels: float) -> None:
    curve = LabelCurve(simulated(np.random.default_rng(0), 2000, 0.5, 0.6, 0.3))
    assert curve.labels_for(value, 0.01) == (labels, labels, labels)


def test_a_less_certain_value_takes_less_certain_labels() -> None:
    curve = LabelCurve(simulated(np.random.default_rng(0), 2000, 0.5, 0.3, 0.3))
    one, other = (curve.labels_for(0.68, deviation) for deviation in (0.001, 0.03))
    assert other.low < one.low <= one.value <= one.high < other.high


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"sizes": SIZES[:2]}, "3 sizes, not 2"),
        ({"bounds": (-math.inf, math.inf)}, "no best value"),
        ({"values": np.array([0.5, math.nan, 0.6, 0.7])}, "undefined"),
        ({"bounds": (0.0, math.inf), "values": np.zeros(4), "greater_is_better": False}, "at its best on every"),
    ],
)
def test_there_is_no_curve(changed: dict[str, Any], words: str) -> None:
    measured = simulated(np.random.default_rng(0), 200, 0.5, 0.4, 0.2)
    with pytest.raises(DataError, match=words):
        LabelCurve(measured._replace(**changed))
