"""SASRec: what comes next by the last items of a history in their order, weighed by self-attention.

Kang and McAuley, Self-Attentive Sequential Recommendation (ICDM 2018): see `_self_attention` for the network and
`_next_item` for the loss. A user's score of an item is the product of its vector with that of the last place. A history
longer than the network reads is cut into several sequences, so that all of it is learnt, where the paper keeps its end;
places are counted from the first one of a sequence. The order of a history is that of its times: without times there is
nothing to learn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from scipy.sparse import csr_array
from torch import nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.interactions import Domains
from headstart.contracts.objective import Objective
from headstart.contracts.recommender import NextItems, Scorer, TrainedRecommender
from headstart.contracts.targets import PADDED_TARGET
from headstart.contracts.tuning import Recipe
from headstart.recommenders._linear_scores import interacted
from headstart.recommenders._next_item import NextItem
from headstart.recommenders._self_attention import HistoryNetwork

SIZES, WEIGHTS = "sizes", "weights."
NAMES = ("items", "width", "places", "blocks", "heads")


class Sasrec(TrainedRecommender):
    """Self-attention over the last items."""

    title: ClassVar[str] = "SASRec"

    width: int = Field(default=64, ge=2)
    """Numbers of a vector; a multiple of `heads`, >= 2."""
    blocks: int = Field(default=2, ge=1)
    """Blocks of attention and two layers; >= 1."""
    heads: int = Field(default=1, ge=1)
    """Heads of attention; >= 1."""
    places: int = Field(default=50, ge=2)
    """Items of a history that are read, the last ones; >= 2."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Share of numbers zeroed in training; in [0, 1)."""
    negatives: int = Field(default=1500, ge=1)
    """Items that the next one is told from; >= 1."""
    epochs: int = Field(default=200, ge=1)
    """Passes over the histories at most; the best on validation is kept; >= 1."""
    max_steps: int = Field(default=1000, ge=1)
    """Steps at most, all passes together; >= 1."""
    batch_size: int = Field(default=32, ge=1)
    """Sequences of a step; >= 1."""
    learning_rate: float = Field(default=0.008, gt=0)
    """Peak rate; > 0."""

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self

    @property
    def objective(self) -> Objective:
        """The next item among negatives."""
        return NextItem(negatives=self.negatives)

    @property
    def recipe(self) -> Recipe:
        """Adam without decay."""
        how = {name: getattr(self, name) for name in ("epochs", "max_steps", "batch_size", "learning_rate")}
        return Recipe(weight_decay=0.0, warmup=0.05, patience=3, precision="float32", **how)

    def lacks(self, domains: Domains) -> str:
        """An order, and something that comes next."""
        if not domains.ordered:
            return "times: it learns from the order of histories"
        return "" if (np.diff(domains.target.indptr) > 1).any() else "a user with two items in the target"

    def tries(self, domains: Domains) -> Sequence[Self]:  # noqa: ARG002
        """Little dropout and much."""
        return [self, self.model_copy(update={"dropout": 0.5})]

    def network(self, domains: Domains, seed: int) -> Backbone:
        """Of all items of the target."""
        sizes = {"items": domains.target.shape[1], **{name: getattr(self, name) for name in (*NAMES[1:], "dropout")}}
        return HistoryNetwork(sizes, seed)

    def sequences(self, histories: csr_array, later: csr_array | None = None) -> NextItems:
        """Each history in pieces of `places` items, from its end."""
        items: list[np.ndarray] = []
        following: list[np.ndarray] = []
        for row in range(histories.shape[0]):
            had, more = _of(histories, row), np.empty(0, np.int64) if later is None else _of(later, row)
            whole = np.concatenate([had, more])
            wanted = whole[1:].copy()
            if later is not None:
                wanted[: max(0, len(had) - 1)] = PADDED_TARGET
            for stop in range(len(wanted), 0, -self.places):
                piece = slice(max(0, stop - self.places), stop)
                if (wanted[piece] >= 0).any():
                    items.append(whole[piece])
                    following.append(wanted[piece])
        return NextItems(*(np.fromiter(some, object, len(some)) for some in (items, following)))

    def ended(self, epochs: int) -> Self:
        """The same with so many epochs."""
        return self.model_copy(update={"epochs": epochs})

    def scorer(self, network: Backbone, domains: Domains) -> Scorer:
        """A copy of its weights."""
        weights = {name: value.cpu().numpy().copy() for name, value in network.module.state_dict().items()}
        sizes = np.array([domains.target.shape[1], *(getattr(self, name) for name in NAMES[1:])], np.int64)
        return SequenceScores(sizes, weights, interacted(domains.target))

    def restored(self, arrays: Mapping[str, np.ndarray]) -> Scorer:
        """The network as it was."""
        weights = {name.removeprefix(WEIGHTS): v for name, v in arrays.items() if name.startswith(WEIGHTS)}
        return SequenceScores(arrays[SIZES], weights, arrays["known"].astype(bool))


@dataclass(frozen=True)
class SequenceScores:
    """Scores of a network by the last items of a history."""

    sizes: np.ndarray
    """(5,) int64: `NAMES`."""
    weights: Mapping[str, np.ndarray]
    """Of the network, by name."""
    known: np.ndarray
    """(items,) bool: items that anything is known of; the others have -inf."""

    def scores(self, target: csr_array, source: csr_array) -> np.ndarray:  # noqa: ARG002
        """(users, items) float32; zeros of known items for a user without a history."""
        network, has = self._network, np.flatnonzero(np.diff(target.indptr))
        found = np.zeros(target.shape, np.float32)
        if len(has):
            state = network.prepare([_of(target, row)[-network.sizes["places"] :] for row in has.tolist()])
            with torch.inference_mode():
                pooled = network.features(network.segment(0, 1)(state)).pooled
                found[has] = nn.functional.linear(pooled, network.module.items.weight).numpy()
        found[:, ~self.known] = -np.inf
        return found

    @cached_property
    def _network(self) -> HistoryNetwork:
        network = HistoryNetwork({**dict(zip(NAMES, self.sizes.tolist())), "dropout": 0.0}, 0)
        network.module.load_state_dict({name: torch.from_numpy(values) for name, values in self.weights.items()})
        network.module.eval()
        return network

    def arrays(self) -> Mapping[str, np.ndarray]:
        """All of it."""
        weights = {f"{WEIGHTS}{name}": values for name, values in self.weights.items()}
        return {SIZES: self.sizes, "known": self.known, **weights}


def _of(matrix: csr_array, row: int) -> np.ndarray:
    """The items (items,) of a row in their order."""
    return np.asarray(matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]], np.int64)
