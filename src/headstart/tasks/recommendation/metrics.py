"""The metrics of recommendation: the full catalogue is ranked, and the bootstrap draws users.

Those among a few negatives stand beside them where they are asked for, and are called `sampled_...`. Coverage and
popularity say what kind of lists these are; a list of best-sellers covers little of the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from headstart.contracts.interactions import RELEVANT
from headstart.contracts.metric import SHARE, Metric, Replicates
from headstart.contracts.prediction import Prediction
from headstart.tasks._reweighted import weighted_means
from headstart.tasks.recommendation.ranking import hits_of, ndcg, recall, reciprocal_rank, sampled_places

LISTED = "listed"
"""Column of a prediction: (users, places) item numbers, best first, -1 for an empty place."""

SCORES = "scores"
"""Column of a prediction: (users, places) float32."""

SAMPLED = "sampled"
"""Column of a prediction: (users,) of (candidates,) item numbers, the relevant items and the negatives, best first."""

PLACES = 100
"""Places of the lists that figures are computed on."""

PerUser = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(hits (users, places), numbers of relevant items (users,)) -> a figure per user (users,)."""


def ranking_metrics(k: int, popularity: np.ndarray) -> tuple[Metric, ...]:
    """Return nDCG@k first. `popularity` (items,) is the share of training users that had an item."""
    return (
        _mean(f"ndcg@{k}", f"nDCG@{k}", lambda hits, counts: ndcg(hits, counts, k)),
        _mean(f"recall@{k}", f"Recall@{k}", lambda hits, counts: recall(hits, counts, k)),
        _mean("recall@50", "Recall@50", lambda hits, counts: recall(hits, counts, 50)),
        _mean("mrr", f"MRR (first {PLACES})", reciprocal_rank),
        _coverage(k, len(popularity)),
        _bias(k, popularity),
    )


def sampled_metrics(k: int, negatives: int) -> tuple[Metric, ...]:
    """Return nDCG@k and Recall@k of each relevant item among so many negatives, means over users of their means."""
    gains = 1.0 / np.log2(np.arange(2, k + 2))
    return tuple(
        _sampled(f"sampled_{name}", f"Sampled {title} (1 item among {negatives:,} negatives)", worth)
        for name, title, worth in ((f"ndcg@{k}", f"nDCG@{k}", gains), (f"recall@{k}", f"Recall@{k}", np.ones(k)))
    )


def _sampled(name: str, title: str, worth: np.ndarray) -> Metric:
    """The mean of what places are worth, (k,), and nothing behind them."""
    worth = np.append(worth, 0.0)

    def each(targets: Mapping[str, np.ndarray], prediction: Prediction) -> np.ndarray:
        places = sampled_places(prediction.columns[SAMPLED], targets[RELEVANT])
        values = [worth[np.minimum(one, len(worth)) - 1].mean() if len(one) else np.nan for one in places]
        return np.array(values, np.float64)

    return _metric(name, title, each)


def per_user(figure: PerUser, targets: Mapping[str, np.ndarray], prediction: Prediction) -> np.ndarray:
    """Return a figure of every user (users,); NaN where nothing is relevant."""
    relevant = targets[RELEVANT]
    counts = np.array([len(items) for items in relevant])
    return figure(hits_of(prediction.columns[LISTED], relevant), counts)


def _mean(name: str, title: str, figure: PerUser) -> Metric:
    return _metric(name, title, lambda targets, prediction: per_user(figure, targets, prediction))


def _metric(name: str, title: str, each: Callable[[Mapping[str, np.ndarray], Prediction], np.ndarray]) -> Metric:
    def replicates(targets: Mapping[str, np.ndarray], prediction: Prediction) -> Replicates:
        return _of_users(each(targets, prediction))

    def score(targets: Mapping[str, np.ndarray], prediction: Prediction) -> float:
        values = each(targets, prediction)
        return float(np.nanmean(values)) if (~np.isnan(values)).any() else np.nan

    return Metric(name, title, True, score, replicates, unit=SHARE, bounds=(0.0, 1.0))


def _of_users(values: np.ndarray) -> Replicates:
    there = ~np.isnan(values)
    return lambda weights: weighted_means(weights[:, there], values[there])


def _coverage(k: int, items: int) -> Metric:
    def score(_: Mapping[str, np.ndarray], prediction: Prediction) -> float:
        shown = np.unique(prediction.columns[LISTED][:, :k])
        return float((shown >= 0).sum() / items)

    def replicates(targets: Mapping[str, np.ndarray], prediction: Prediction) -> Replicates:
        value = score(targets, prediction)
        return lambda weights: np.full(len(weights), value)

    flaw = "it grows with the number of users"
    return Metric(f"coverage@{k}", f"Coverage@{k}", True, score, replicates, SHARE, (0.0, 1.0), flaw=flaw)


def _bias(k: int, popularity: np.ndarray) -> Metric:
    def each(prediction: Prediction) -> np.ndarray:
        listed = prediction.columns[LISTED][:, :k]
        shares = np.where(listed >= 0, popularity[np.maximum(listed, 0)], 0.0)
        return np.asarray(shares.sum(axis=1) / np.maximum((listed >= 0).sum(axis=1), 1))

    def score(_: Mapping[str, np.ndarray], prediction: Prediction) -> float:
        return float(each(prediction).mean())

    def replicates(_: Mapping[str, np.ndarray], prediction: Prediction) -> Replicates:
        return _of_users(each(prediction))

    title = f"Popularity@{k} (share of users who had what is listed)"
    return Metric(f"popularity@{k}", title, False, score, replicates, SHARE, (0.0, 1.0))
