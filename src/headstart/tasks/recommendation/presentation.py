"""Lists of items as tables and reports show them: a row for each item that is recommended, worst lists, popularity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headstart.contracts.examples import Examples
from headstart.contracts.interactions import RELEVANT
from headstart.contracts.metric import SHARE
from headstart.contracts.panels import Mistake, Panel, Table
from headstart.contracts.prediction import Prediction
from headstart.contracts.task import Targets
from headstart.tasks.recommendation.metrics import LISTED, SCORES, per_user
from headstart.tasks.recommendation.ranking import hits_of, ndcg
from headstart.tasks.recommendation.task import BoundRecommendation

BANDS = ("least popular", "in the middle", "most popular")
"""Of items, each with about a third of all interactions in training."""


class RecommendationPresentation:
    """Lists of a bound task, shown."""

    def __init__(self, task: BoundRecommendation) -> None:
        """Show item numbers by the names in the task's catalogue."""
        self.task, self.names = task, np.array([*task.items, ""], object)

    def labels(self, examples: Examples) -> Sequence[Any]:
        """Return what came after each history, as 'a, b, c'."""
        if RELEVANT not in examples.schema.targets:
            return [""] * len(examples)
        return [", ".join(map(str, items or ())) for items in examples.target(RELEVANT)]

    def tally(self, labels: Sequence[Any]) -> Mapping[str, int]:
        """Count the users with each item."""
        return Counter(item for label in labels for item in label.split(", ") if item)

    def columns(self, prediction: Prediction) -> Mapping[str, np.ndarray]:
        """ "prediction", the items of a list as 'a, b, c', and the score of the first."""
        k = self.task.settings.k
        listed = self.names[prediction.columns[LISTED][:, :k]]
        words = np.array([", ".join(name for name in row if name) for row in listed], object)
        return {"prediction": words, "score": prediction.columns[SCORES][:, 0]}

    def rows(self, prediction: Prediction) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
        """Return k rows for each user, fewer where there are fewer items: "rank", "prediction" and "score"."""
        k = self.task.settings.k
        listed, scores = (prediction.columns[name][:, :k] for name in (LISTED, SCORES))
        there = listed >= 0
        there[:, 0] = True
        rank = np.broadcast_to(np.arange(1, listed.shape[1] + 1), listed.shape)
        columns = {"rank": rank[there], "prediction": self.names[listed[there]], "score": scores[there]}
        return there.sum(axis=1), columns

    def panels(self, prediction: Prediction, targets: Targets) -> tuple[Panel, ...]:
        """Return how many of the relevant items are found, by their popularity."""
        return (self._by_popularity(prediction, targets),)

    def _by_popularity(self, prediction: Prediction, targets: Targets) -> Table:
        k, relevant = self.task.settings.k, targets[RELEVANT]
        listed = prediction.columns[LISTED][:, :k]
        found = listed[hits_of(listed, relevant)]
        wanted = np.concatenate([*relevant, np.empty(0, np.int64)]).astype(np.int64)
        counts = np.array(self.task.counts)
        order = np.argsort(counts, kind="stable")
        band = np.empty(len(counts), np.int64)
        band[order] = np.minimum(3 * np.cumsum(counts[order]) // max(1, counts.sum() + 1), 2)
        shown = listed[listed >= 0]
        rows = tuple(
            (
                name,
                int((band == number).sum()),
                int((band[wanted] == number).sum()),
                float((band[found] == number).sum() / max(1, (band[wanted] == number).sum())),
                float((band[shown] == number).mean()) if len(shown) else 0.0,
            )
            for number, name in enumerate(BANDS)
        )
        header = ("items", "in the catalogue", "relevant", f"found in the first {k}", "share of what is listed")
        return Table(
            title="By popularity of items",
            note="The items of each band have about a third of the interactions in training.",
            header=header,
            rows=rows,
            units=("", "", "", SHARE, SHARE),
        )

    def mistakes(self, prediction: Prediction, targets: Targets, most: int) -> tuple[Mistake, ...]:
        """Return the lists with the lowest nDCG, of equal ones those of users with more relevant items first."""
        k, relevant = self.task.settings.k, targets[RELEVANT]
        values = per_user(lambda hits, counts: ndcg(hits, counts, k), targets, prediction)
        counts = np.array([len(items) for items in relevant])
        hits = hits_of(prediction.columns[LISTED][:, :k], relevant).sum(axis=1)
        missed = np.flatnonzero(values < 1)
        lists = self.columns(prediction)["prediction"]
        return tuple(
            Mistake(
                row=int(row),
                truth=", ".join(self.names[relevant[row][:k]]),
                predicted=str(lists[row]),
                weight=1 - float(values[row]),
                weight_text=f"{hits[row]} of {counts[row]} listed",
            )
            for row in missed[np.lexsort((-counts[missed], values[missed]))][:most]
        )


def presentation(task: BoundRecommendation) -> RecommendationPresentation:
    """Show lists by the names of items."""
    return RecommendationPresentation(task)
