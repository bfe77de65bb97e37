"""Label shift: the mix of classes that predictions imply, and the test that it differs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import chi2_contingency

from headstart.evidence.label_shift import estimated_mix, same_frequencies
from headstart.numerics.class_mix import bbse, expectation_maximisation


def test_bbse_solves_the_equations_of_the_paper() -> None:
    confusion = np.array([[30.0, 5, 2], [4, 40, 3], [1, 2, 13]])
    joint, prior, wanted = confusion / 100, confusion.sum(axis=0) / 100, np.array([0.2, 0.1, 0.7])
    predicted = joint @ (wanted / prior)  # what such a mix is predicted as
    assert bbse(confusion, 1000 * predicted) == pytest.approx(wanted, abs=1e-9)
    negative = np.linalg.inv(joint) @ np.array([1.0, 0, 0])
    clipped = np.clip(negative, 0, None) * prior
    assert bbse(confusion, np.array([7, 0, 0])) == pytest.approx(clipped / clipped.sum(), abs=1e-9)


def test_bbse_of_a_class_that_is_never_seen_is_finite() -> None:
    found = bbse(np.array([[5.0, 1, 0], [1, 5, 0], [0, 0, 0]]), np.array([6, 6, 0]))
    assert found == pytest.approx([0.5, 0.5, 0])


def test_em_is_the_mix_of_greatest_likelihood_and_its_rounds_are_those_of_the_paper() -> None:
    draws = np.random.default_rng(0)
    probabilities, prior = draws.dirichlet(np.ones(3), size=200), np.array([0.5, 0.3, 0.2])

    def loss(free: np.ndarray) -> float:
        shares = np.exp(free) / np.exp(free).sum()
        return -float(np.log(probabilities @ (shares / prior)).sum())

    best = minimize(loss, np.zeros(3), tol=1e-12).x
    found = expectation_maximisation(probabilities, prior)
    assert found == pytest.approx(np.exp(best) / np.exp(best).sum(), abs=1e-4)
    shares = prior.copy()
    for _ in range(7):
        total = np.zeros(3)
        for row in probabilities:
            posterior = [row[k] * shares[k] / prior[k] for k in range(3)]
            total += np.array(posterior) / sum(posterior)
        shares = total / len(probabilities)
    assert expectation_maximisation(probabilities, prior, rounds=7) == pytest.approx(shares, abs=1e-9)


@pytest.mark.slow
def test_intervals_hold_the_mix_of_another_set() -> None:
    draws, held = np.random.default_rng(1), 0
    centres = np.array([[0.0, 0], [2, 0], [0, 2]])
    for _ in range(12):
        drawn = [draws.choice(3, 300, p=shares) for shares in ([0.4, 0.4, 0.2], [0.2, 0.2, 0.6])]
        points = [centres[classes] + draws.normal(size=(300, 2)) for classes in drawn]
        likelihoods = [np.exp(-((of[:, None] - centres) ** 2).sum(axis=2) / 2) for of in points]
        weighed = [of * [0.4, 0.4, 0.2] for of in likelihoods]
        known, theirs = (of / of.sum(axis=1, keepdims=True) for of in weighed)
        mix, black_box = estimated_mix(known, drawn[0], theirs, draws)
        held += int((mix.low[2] <= 0.6) & (mix.high[2] >= 0.6))
        assert black_box == pytest.approx([0.2, 0.2, 0.6], abs=0.2)
    assert held >= 9


def test_frequencies_are_compared_by_chi_squared() -> None:
    one, other = np.array([40, 30, 10, 0]), np.array([20, 30, 25, 0])
    value, p = same_frequencies(one, other, np.random.default_rng(0))
    expected = chi2_contingency(np.stack([one, other])[:, :3], correction=False)
    assert value == pytest.approx(np.sqrt(expected.statistic / 155), abs=1e-9)
    assert p == pytest.approx(expected.pvalue, abs=0.005)
