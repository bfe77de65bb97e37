"""Recommendation: which items a user will have next, ranked over the whole catalogue.

Items of the history are never listed again. A head scores each item of the catalogue by the pooled features; a backbone
that `HasCandidates` has the scores themselves as its features, and its head only has to hand them on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import torch
from pydantic import Field
from torch import nn

from headstart.contracts.examples import Examples
from headstart.contracts.features import Features
from headstart.contracts.interactions import ITEMS, RELEVANT, USER, catalogue_of, column_of_lists, flat, numbers_of
from headstart.contracts.prediction import Prediction
from headstart.contracts.recommender import HasCandidates
from headstart.contracts.target_kinds import Numbers
from headstart.contracts.targets import PADDED_TARGET, TargetKinds
from headstart.contracts.task import BoundTask, Evaluation, FeatureSource, SplitPolicy, Targets, Tensors
from headstart.contracts.task_capabilities import KnownHistories
from headstart.kernel.errors import DataError
from headstart.kernel.randomness import draw_seed
from headstart.kernel.settings import Settings
from headstart.tasks.recommendation.cut import Shares, cut
from headstart.tasks.recommendation.metrics import LISTED, PLACES, SAMPLED, SCORES, ranking_metrics, sampled_metrics

ITEM_LISTS = Numbers("item numbers", whole=True, axes=(2,))
"""Any number of items of each example: (batch, items) whole numbers."""


class Recommendation(Settings):
    """The items that a user will have next."""

    reads_format: ClassVar[str] = "interactions"
    """The format of its data."""

    k: int = Field(default=10, ge=1, le=PLACES)
    """Items that are recommended to each user, and places of the figures; from 1 to 100."""
    test: float = Field(default=0.1, gt=0, lt=0.5)
    """Share of interactions in the test part, where none is given; in (0, 0.5)."""
    validation: float = Field(default=0.1, gt=0, lt=0.5)
    """The same of the validation part."""
    cold: float = Field(default=0.1, ge=0, lt=0.4)
    """Share of the users of both domains whose interactions all lie in the test part, and in the validation part."""
    negatives: int = Field(default=0, ge=0)
    """Items drawn for each user, among which figures called `sampled_...` rank each relevant one, to compare with
    papers that rank no catalogue. 0 for no such figures; >= 0."""
    negatives_seed: int = 0
    """Decides which items they are."""

    @classmethod
    def suits(cls, examples: Examples) -> str | None:
        """Return why: the data are interactions."""
        return "the data are interactions of users with items" if {USER, ITEMS} <= {*examples.schema.inputs} else None

    def cut(self, examples: Examples, source: KnownHistories | None, seed: int, *, contents: bool = False) -> Examples:
        """Hold out by given parts, by time, or by chance. Raises DataError as `cut` of `cut.py`."""
        return cut(examples, source, Shares(self.validation, self.test, self.cold), seed, contents=contents)

    def split_policy(self, examples: Examples) -> SplitPolicy:
        """The parts are given by `cut`; there is one stratum."""
        return SplitPolicy(np.zeros(len(examples), np.int64), ["users"])

    def bind(self, examples: Examples, backbone: FeatureSource) -> BoundRecommendation:
        """Learn the catalogue, and how many of the training users had each item. Raises DataError without items."""
        items = tuple(_catalogue(examples).to_pylist())
        if not items:
            raise DataError("the data have no items")
        counts, users = _counts(examples, items)
        return BoundRecommendation(settings=self, items=items, counts=counts, users=users)

    def restore(self, learnt: Mapping[str, Any]) -> BoundRecommendation:
        """Take the catalogue as it was learnt."""
        return BoundRecommendation.model_validate({**learnt, "settings": self})


class BoundRecommendation(BoundTask):
    """Recommendation whose catalogue is known."""

    target_kinds: ClassVar[TargetKinds] = {RELEVANT: ITEM_LISTS}
    listed: ClassVar[str] = LISTED

    settings: Recommendation
    items: tuple[str, ...]
    """The catalogue, by the names of items."""
    counts: tuple[int, ...]
    """Training users that had each item."""
    users: int = Field(ge=0)
    """Training users."""

    @property
    def places(self) -> int:
        """`task.k`."""
        return self.settings.k

    @property
    def catalogue(self) -> pa.Array:
        """The names of items as an arrow array."""
        return pa.array(self.items, pa.string())

    @property
    def evaluation(self) -> Evaluation:
        """nDCG@k first; there is nothing to calibrate."""
        shares = np.array(self.counts, np.float64) / max(1, self.users)
        k, negatives = self.settings.k, self.settings.negatives
        metrics = ranking_metrics(k, shares) + (sampled_metrics(k, negatives) if negatives else ())
        return Evaluation(metrics, chosen_by="metric")

    def split_policy(self, examples: Examples) -> SplitPolicy:
        """As of the settings."""
        return self.settings.split_policy(examples)

    def extended(self, examples: Examples, backbone: FeatureSource) -> Self:
        """The same items in their places, new ones after them."""
        found, known = _catalogue(examples), self.catalogue
        items = (*self.items, *found.filter(pa.array(numbers_of(found, known) < 0)).to_pylist())
        counts, users = _counts(examples, items)
        return self.model_copy(update={"items": items, "counts": counts, "users": users})

    def with_items(self, names: pa.Array) -> Self:
        """The same task with more items after those of the catalogue, which nobody had."""
        new = names.filter(pa.array(numbers_of(names, self.catalogue) < 0)).to_pylist()
        return self.model_copy(update={"items": (*self.items, *new), "counts": (*self.counts, *(0 for _ in new))})

    def targets(self, examples: Examples) -> Targets:
        """{"relevant": (examples,) of (items,) int64}."""
        return {RELEVANT: self._lists(examples, RELEVANT)}

    def inputs(self, examples: Examples) -> Targets:
        """{"had": (examples,) of (items,) int64}: what is not to be listed again.

        With `negatives`, and where it is known what came after, also {"candidates": (examples,) of (items,) int64}.
        """
        had = self._lists(examples, ITEMS)
        if not self.settings.negatives or RELEVANT not in examples.schema.targets:
            return {"had": had}
        users, relevant = examples.table.column(USER).to_pylist(), self._lists(examples, RELEVANT)
        some = map(self._candidates, users, had, relevant)
        return {"had": had, "candidates": np.fromiter(some, object, len(users))}

    def _candidates(self, user: str, had: np.ndarray, relevant: np.ndarray) -> np.ndarray:
        """The relevant items and the negatives of a user, in the order of the catalogue, which tells nothing."""
        free = np.setdiff1d(np.arange(len(self.items)), np.concatenate([had, relevant]))
        draws = np.random.default_rng(draw_seed(self.settings.negatives_seed, f"negatives of {user}"))
        chosen = draws.choice(free, min(self.settings.negatives, len(free)), replace=False)
        return np.sort(np.concatenate([relevant, chosen]))

    def _lists(self, examples: Examples, name: str) -> np.ndarray:
        offsets, values = flat(column_of_lists(examples, name))
        numbers = numbers_of(values.cast(pa.string()), self.catalogue)
        found = np.empty(len(examples), object)
        for row in range(len(examples)):
            some = numbers[offsets[row] : offsets[row + 1]]
            found[row] = some[some >= 0]
        return found

    def head(self, backbone: FeatureSource) -> nn.Module:
        """(batch, width) -> (batch, items); the identity where the features are scores."""
        return nn.Identity() if isinstance(backbone, HasCandidates) else nn.Linear(backbone.width, len(self.items))

    def forward(self, head: nn.Module, features: Features, inputs: Tensors) -> Tensors:
        """{"scores": (batch, items)}."""
        return {"scores": head(features.pooled)}

    def losses(self, outputs: Tensors, targets: Tensors) -> Tensors:
        """{"cross_entropy": scalar}: the mean over the users of that of their relevant items, by a softmax."""
        wanted = targets[RELEVANT]
        there = wanted != PADDED_TARGET
        chances = outputs["scores"].log_softmax(dim=1).gather(1, wanted.clamp(min=0))
        each = (chances * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)
        return {"cross_entropy": -each.mean()}

    def predict(self, head: nn.Module, features: Features, inputs: Tensors) -> Prediction:
        """Columns "listed" (batch, places) int64, best first, and "scores" (batch, places) float32.

        With candidates in the inputs also "sampled" (batch,) of (candidates,) int64, best first.
        """
        scores = self.forward(head, features, inputs)["scores"].detach().float().clone()
        if "had" in inputs:
            had = inputs["had"]
            rows = torch.arange(len(had), device=had.device)[:, None].expand_as(had)
            scores[rows[had >= 0], had[had >= 0]] = -torch.inf
        best = scores.topk(min(PLACES, scores.shape[1]), dim=1)
        listed = torch.where(best.values.isinf(), -1, best.indices)
        columns = {LISTED: listed.cpu().numpy(), SCORES: best.values.cpu().numpy()}
        if "candidates" in inputs:
            columns[SAMPLED] = _in_order(inputs["candidates"].cpu(), scores.cpu())
        return Prediction(columns)


def _in_order(candidates: torch.Tensor, scores: torch.Tensor) -> np.ndarray:
    """Order padded candidates (batch, most) by scores (batch, items): (batch,) of (candidates,), best first."""
    found = np.empty(len(candidates), object)
    for row, some in enumerate(candidates):
        own = some[some >= 0]
        found[row] = own[scores[row, own].argsort(descending=True, stable=True)].numpy()
    return found


def _catalogue(examples: Examples) -> pa.Array:
    """All items of histories and targets, in order."""
    return catalogue_of(*(column_of_lists(examples, name) for name in (ITEMS, RELEVANT)))


def _counts(examples: Examples, items: Sequence[str]) -> tuple[tuple[int, ...], int]:
    """Count how many users of the train part had each item, and how many had any."""
    train = examples.take(np.flatnonzero(np.array(examples.column("part")) == "train"))
    offsets, values = flat(train.table.column(ITEMS))
    numbers = numbers_of(values.cast(pa.string()), pa.array(items, pa.string()))
    return tuple(np.bincount(numbers, minlength=len(items)).tolist()), int((np.diff(offsets) > 0).sum())
