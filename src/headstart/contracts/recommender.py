"""Recommender: scores a whole catalogue of items for a user by the interactions of many users.

A `SolvedRecommender` is a closed form. A `TrainedRecommender` is a network that reads histories in order, and the
engine's loop trains it. Either leaves a `Scorer`, which is saved as arrays.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, Self, runtime_checkable

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_array

from headstart.contracts.backbone import Backbone
from headstart.contracts.examples import Examples
from headstart.contracts.interactions import Domains
from headstart.contracts.objective import Objective
from headstart.contracts.task_capabilities import KnownHistories
from headstart.contracts.tuning import Recipe
from headstart.kernel.complete import Complete
from headstart.kernel.contract import contract
from headstart.kernel.settings import Settings


class Scorer(Protocol):
    """A solved recommender."""

    def scores(self, target: csr_array, source: csr_array) -> np.ndarray:
        """Return the scores (users, items) float32 by histories (users, items) and (users, source items) of ones.

        The indices of a row are in the order of the history. An item that nothing is known of has -inf.
        """
        ...

    def arrays(self) -> Mapping[str, np.ndarray]:
        """Return what `Recommender.restored` makes it again from."""
        ...


FOLLOWING = "following"
"""Target of a network of histories: the item that comes next at each place."""


@contract("recommenders")
class Recommender(Settings, Complete):
    """The contract of a file in `recommenders/`, which derives from one of the two below."""

    title: ClassVar[str]
    """Its name in reports: 'EASE'."""
    transfers: ClassVar[bool] = False
    """Whether it learns from the source domain."""
    serves_cold: ClassVar[bool] = False
    """Whether it tells users apart who have no history in the target domain."""
    informed: ClassVar[bool] = True
    """False where the history plays no part."""

    @abstractmethod
    def lacks(self, domains: Domains) -> str:
        """Return what it would need of the data, in words that follow 'needs'; '' where all is there."""

    @abstractmethod
    def tries(self, domains: Domains) -> Sequence[Self]:
        """Return the settings to choose from on validation data, the usual ones first."""

    @abstractmethod
    def restored(self, arrays: Mapping[str, np.ndarray]) -> Scorer:
        """Make a scorer again from its `arrays`."""

    def words(self) -> str:
        """Its title with the settings that differ from the usual ones."""
        usual = type(self)()
        given = {name: value for name, value in self if value != getattr(usual, name)}
        numbers = {name: f"{value:g}" for name, value in given.items() if not isinstance(value, (str, bool))}
        changed = [f"{name.replace('_', ' ')} {numbers.get(name, value)}" for name, value in given.items()]
        return ", ".join([self.title, *changed])


class SolvedRecommender(Recommender):
    """One that is solved for."""

    @abstractmethod
    def solve(self, domains: Domains, seed: int) -> Scorer:
        """Solve for these interactions; equal seeds give equal scores."""


class NextItems(NamedTuple):
    """Sequences of items, and at each place the item that comes next: what a network learns from."""

    items: np.ndarray
    """(sequences,) of (places,) item numbers."""
    following: np.ndarray
    """(sequences,) of (places,) item numbers, `PADDED_TARGET` where none is to be guessed."""


class TrainedRecommender(Recommender):
    """One whose network of histories is trained by steps."""

    @property
    @abstractmethod
    def objective(self) -> Objective:
        """The loss; it draws from the stream `TARGET`, whose targets are `FOLLOWING`."""

    @property
    @abstractmethod
    def recipe(self) -> Recipe:
        """Length, rates and batches of the training."""

    @abstractmethod
    def network(self, domains: Domains, seed: int) -> Backbone:
        """Return the network with random weights; its inputs are the `items` of sequences."""

    @abstractmethod
    def sequences(self, histories: csr_array, later: csr_array | None = None) -> NextItems:
        """Return what is learnt from histories (users, items); of two, that of `later` after the first ones."""

    @abstractmethod
    def ended(self, epochs: int) -> Self:
        """Return the settings by which as many epochs are trained, for data without a part to stop by."""

    @abstractmethod
    def scorer(self, network: Backbone, domains: Domains) -> Scorer:
        """Return the scores of a network as it is now."""


@dataclass(frozen=True)
class Part:
    """A solved recommender with its settings."""

    recommender: Recommender
    scorer: Scorer


@runtime_checkable
class HasCandidates(Protocol):
    """A backbone that is solved or trained anew on all interactions, and scores a catalogue of items."""

    methods: tuple[str, ...]
    """Plug-in names of the recommenders that a fit chooses from."""

    def solved(self, warm: Part, cold: Part, examples: Examples, learnt: Mapping[str, Any]) -> Backbone:
        """Return the backbone that scores users with a history by `warm` and others by `cold`.

        Args:
            warm, cold: solved for the catalogues of `learnt`.
            examples: rows whose histories are to be known when only a user is named.
            learnt: {"items": catalogue, "source_items": that of the source}, arrow arrays of strings.
        """
        ...

    def histories(self) -> KnownHistories:
        """Return the users that it knows and what they had in its own domain: a source for others."""
        ...


@runtime_checkable
class Ranks(Protocol):
    """A bound task that ranks a catalogue of items."""

    listed: ClassVar[str]
    """Column of its predictions with the numbers of items (users, places), best first, negative where there is none."""

    @property
    def places(self) -> int:
        """The number of items that are recommended."""
        ...

    def with_items(self, names: pa.Array) -> Self:
        """Return the task with more items after those of the catalogue, which nobody had."""
        ...

    @property
    def catalogue(self) -> pa.Array:
        """The names of the items (items,), in the order of scores."""
        ...
