"""Successive halving: all candidates train a little, the better half goes on, until one is left.

Jamieson & Talwalkar 2016 ("Non-stochastic best arm identification and hyperparameter optimization"). Nothing is trained
twice: who survives a rung goes on from where it stands. With m candidates there are r = ceil(log2 m) eliminations, and
the rungs end at shares 2^-r, ..., 1/2, 1 of each candidate's own planned epochs, for which its learning rate falls.

How many candidates and epochs fit into a time is decided before the first step, for the worst case that the most
expensive ones survive: the epochs that the size of the data asks for are cut to a share of them before the number of
candidates is, down to a half; then the last candidates are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headstart.search.cost import Cost

HALF = 0.5
"""More than one candidate is tried only where each can have this share of the epochs that it wants."""

SHARES = tuple(0.95**k for k in range(120))
"""Shares of the epochs wanted that are tried, the greatest first."""


@dataclass(frozen=True)
class Contender:
    """A candidate before the search."""

    name: str
    cost: Cost
    epochs: int
    """What the size of the data asks for, or what the user gave."""
    fixed: bool = False
    """Whether the number of epochs is the user's and must not be cut."""

    def planned(self, share: float) -> int:
        """Epochs when every contender gets this share of what it wants."""
        return self.epochs if self.fixed else max(1, math.floor(share * self.epochs))


@dataclass(frozen=True)
class Rung:
    """Candidates train until a share of their epochs is done; the best of them go on."""

    share: float
    """In (0, 1]."""
    candidates: int
    """How many train."""

    def until(self, epochs: int) -> int:
        """The epochs that are done then, of so many planned."""
        return max(1, round(self.share * epochs))


def rungs(candidates: int) -> tuple[Rung, ...]:
    """The rungs for so many candidates, >= 1; the last one has one candidate and ends with all epochs done."""
    eliminations = math.ceil(math.log2(candidates))
    return tuple(Rung(2.0 ** (k - eliminations), math.ceil(candidates / 2**k)) for k in range(eliminations + 1))


def schedule(contenders: Sequence[Contender], seconds: float) -> dict[str, int]:
    """As many of the contenders, in their order, for as many epochs, as fit into so many seconds, in the worst case.

    Returns:
        Name -> epochs that it has if it survives to the end; those left out are not named. Of several, each has at
        least half of the epochs it wants. A single one may have as few as one.
    """
    for count in range(len(contenders), 0, -1):
        chosen = contenders[:count]
        for share in SHARES:
            if count > 1 and share < HALF:
                break
            epochs = {one.name: one.planned(share) for one in chosen}
            if worst_case(chosen, epochs) <= seconds:
                return epochs
    return {}


def worst_case(contenders: Sequence[Contender], epochs: Mapping[str, int]) -> float:
    """Seconds of all rungs when the most expensive candidates survive each."""
    total, before = 0.0, {one.name: 0 for one in contenders}
    for rung in rungs(len(contenders)):
        until = {one.name: rung.until(epochs[one.name]) for one in contenders}
        times = sorted((one.cost.seconds(until[one.name] - before[one.name]) for one in contenders), reverse=True)
        total, before = total + sum(times[: rung.candidates]), until
    return total


def affordable(costs: Sequence[tuple[float, float]], seconds: float) -> int:
    """Return how many candidates of a rung, best first, can train on while one of them can still be finished.

    Args:
        costs: for each its seconds in this rung, and from there to its end.
        seconds: what is left.

    Returns:
        At least 1.
    """
    for count in range(len(costs), 1, -1):
        here = sum(rung for rung, _ in costs[:count])
        if here + max(rest for _, rest in costs[:count]) <= seconds:
            return count
    return 1
