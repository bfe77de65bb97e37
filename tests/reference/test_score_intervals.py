"""Score intervals and paired intervals against SciPy, published numbers and longhand, and how often they cover."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from headstart.contracts.prediction import Prediction
from headstart.evidence.comparison import compare, figures
from headstart.numerics.bootstrap import Resamples
from headstart.numerics.score_interval import Shares, score_interval
from headstart.tasks._reweighted import f1_trials
from headstart.tasks.classification.metrics import classification_metrics
from headstart.tasks.multilabel.metrics import multilabel_metrics

Z = float(stats.norm.ppf(0.975))
METRICS = {metric.name: metric for metric in classification_metrics(["ham", "spam"])}


def shares(values: list[float], trials: list[float]) -> Shares:
    return Shares(np.array(values), np.array(trials), np.array(trials))


@pytest.mark.parametrize(("right", "n"), [(0, 7), (5, 5), (3, 8), (497, 500)])
def test_of_one_share_it_is_wilsons_by_scipy(right: int, n: int) -> None:
    known = stats.binomtest(right, n).proportion_ci(method="wilson")
    p = right / n
    assert score_interval(shares([p], [n]), p * (1 - p) / n, Z) == pytest.approx((known.low, known.high))


def test_a_class_that_is_all_right_widens_a_mean_by_its_own_wilson_interval() -> None:
    """The other class is known so well that half of the rare one's interval is left."""
    low, high = score_interval(shares([1.0, 0.5], [5, 1e9]), 0.25 / 1e9 / 4, Z)
    rare = stats.binomtest(5, 5).proportion_ci(method="wilson")
    assert (low, high) == (pytest.approx(0.75 - (1 - rare.low) / 2, abs=1e-4), pytest.approx(0.75, abs=1e-4))


def test_of_many_shares_it_is_the_normal_interval() -> None:
    p = np.tile([0.9, 0.8, 0.7], 100)
    variance = float((p * (1 - p) / 50).sum()) / 300**2
    low, high = score_interval(Shares(p, np.full(300, 50.0), np.full(300, 50.0)), variance, Z)
    assert (low, high) == pytest.approx((0.8 - Z * math.sqrt(variance), 0.8 + Z * math.sqrt(variance)), abs=4e-4)


def test_the_design_effect_of_groups_divides_the_trials() -> None:
    known = stats.binomtest(20, 25).proportion_ci(method="wilson")
    assert score_interval(shares([0.8], [100]), 4 * 0.16 / 100, Z) == pytest.approx((known.low, known.high))


@pytest.mark.parametrize(("right", "events"), [(0, 12), (9, 9)])
def test_f1_ends_where_the_binomial_share_of_its_events_does(right: int, events: int) -> None:
    f1 = np.array([2 * right / (events + right)])
    low, high = score_interval(Shares(f1, f1_trials(np.array([events]), f1), np.array([9.0])), 0.0, Z)
    known = stats.binomtest(right, events).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx([2 * end / (1 + end) for end in (known.low, known.high)])


def test_the_area_has_the_standard_error_of_hanley_and_mcneil() -> None:
    """Their example (1982): 51 abnormal and 58 normal pictures, an area of 0.893 with a standard error of 0.032."""
    labels, wrong = np.repeat([1, 0], [51, 58]), round((1 - 0.893) * 51)
    scores = np.where(labels == 1, 0.9, 0.5)
    scores[:wrong] = 0.1
    support = METRICS["roc_auc"].support
    if support is None:
        raise AssertionError
    found = support({"label": labels}, Prediction({"probabilities": np.stack([1 - scores, scores], axis=1)}))
    area, trials = float(found.values[0]), float(found.trials[0])  # type: ignore[index]
    assert area == pytest.approx(0.893, abs=0.012)
    assert math.sqrt(area * (1 - area) / trials) == pytest.approx(0.032, abs=2e-3)


@pytest.mark.parametrize(("ahead", "verdict"), [(4, "not significant"), (6, "better")])
def test_a_lead_of_a_few_examples_is_judged_as_by_agresti_and_min(ahead: int, verdict: str) -> None:
    labels = np.arange(100) % 2
    one, other = (np.where(np.arange(100) < wrong, 1 - labels, labels) for wrong in (0, ahead))
    columns = [Prediction({"probabilities": np.eye(2)[chosen]}) for chosen in (one, other)]
    found = compare(METRICS["accuracy"], {"label": labels}, *columns, seed=0, resamples=4000)
    half = stats.t.ppf(0.975, 99) * math.sqrt((ahead + 1) / 100**2 - ahead**2 / 100**3)
    assert found.verdict == verdict
    assert found.figure.low == pytest.approx(ahead / 100 - half, abs=2e-3)


@pytest.mark.parametrize("several", [True, False])
def test_one_example_more_changes_f1_by_one_over_true_and_predicted(several: bool) -> None:
    """By hand: hits and false alarms of 12 spam of 200, and of ham; macro F1 has half of the change of the rarer."""
    labels = (np.arange(200) < 12).astype(int)
    answers = [(np.arange(200) < 9) | (np.arange(200) == 150), (np.arange(200) < 7) | (np.arange(200) >= 198)]
    metric = METRICS["macro_f1"] if several else multilabel_metrics(["spam"])[2]
    targets = {"label": labels if several else labels[:, None]}
    one, other = (
        Prediction({"probabilities": np.eye(2)[spam.astype(int)]} if several else {"chosen": spam[:, None]})
        for spam in answers
    )
    found = compare(metric, targets, one, other, seed=0).figure
    (drawn,) = Resamples(200, None, 0).of(
        lambda weights: metric.replicates(targets, one)(weights) - metric.replicates(targets, other)(weights)
    )
    step = 1 / (12 + 9) / (2 if several else 1)
    half = stats.t.ppf(0.975, 199) * math.sqrt(drawn[np.isfinite(drawn)].var() + step**2)
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half), abs=1e-9)


@pytest.mark.parametrize("name", ["balanced_accuracy", "macro_f1", "roc_auc"])
def test_few_examples_of_a_class_are_covered(name: str) -> None:
    """7 spam of 60, mostly right: Wilson's interval with the bootstrap's variance of the whole covers in half."""
    draws, labels = np.random.default_rng(7), np.repeat([1, 0], [7, 53])
    noise = np.random.default_rng(0).normal(size=400_000)
    weights = np.where(np.arange(400_000) < 200_000, 7, 53)[None].astype(float)
    metric, covered = METRICS[name], 0

    def case(labels: np.ndarray, noise: np.ndarray) -> tuple[dict[str, np.ndarray], Prediction]:
        rare = stats.norm.cdf(noise + 2.5 * labels - 1.25)
        return {"label": labels}, Prediction({"probabilities": np.stack([1 - rare, rare], axis=1)})

    true = float(metric.replicates(*case(np.repeat([1, 0], 200_000), noise))(weights)[0])
    for trial in range(250):
        found = figures([metric], *case(labels, draws.normal(size=60)), seed=trial, resamples=100)[name]
        covered += found.low <= true <= found.high
    assert covered / 250 >= 0.92
