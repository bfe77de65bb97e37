"""The protocol: which interactions of each user are history, and which come after it.

By given parts; else by time, at one moment for all, so that nothing of the future is learnt from (Ji et al., 2020,
"On Offline Evaluation of Recommender Systems"); without times by random interactions of each user. With a source domain
some users of both domains are hidden from training altogether: cold users.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.interactions import (
    COLD,
    ITEMS,
    MOMENT,
    ORDERED,
    OVERLAP,
    RELEVANT,
    SHARED,
    SOURCE,
    UNSHARED,
    USER,
    column_of_lists,
    flat,
    lists_of,
    numbers_of,
)
from headstart.contracts.task_capabilities import KnownHistories
from headstart.kernel.errors import DataError
from headstart.kernel.randomness import draw_seed

FEWEST = 3
"""Interactions of a user from which on some are held out where there are no times."""

FEWEST_SHARED = 20
"""Users of both domains from which on some are hidden."""

PARTS = ("train", "val", "test")

NEVER = 9
"""The stage of what is no part of any history."""


class Shares(NamedTuple):
    """Shares of interactions, and of shared users, that are held out."""

    validation: float
    test: float
    cold: float


@dataclass(frozen=True)
class Flat:
    """Interactions one after the other, sorted by user, each user's in order of time."""

    users: np.ndarray
    """(interactions,) numbers of users."""
    items: np.ndarray
    """(interactions,) numbers of items."""
    names: pa.Array
    """Of users."""
    catalogue: pa.Array
    """Of items."""
    source: pa.Array
    """(users,) lists of items of the source domain."""


def cut(examples: Examples, source: KnownHistories | None, shares: Shares, seed: int, *, contents: bool) -> Examples:
    """Cut each user's history, and put the source's beside it.

    Args:
        examples: a row per user as the format reads them.
        source: users of another domain. contents: whether items that training never saw can be scored by theirs.

    Raises:
        DataError: no user is shared with the source and there are no contents, or nothing is left to judge by.
    """
    data = _flat(examples, source)
    notes: list[str] = list(examples.notes)
    if source is not None:
        notes += _overlap(data, source, contents=contents)
    stage, how = _stages(data, examples, shares, seed)
    if source is not None and how != GIVEN:
        stage, hidden = _hiding_cold(data, stage, shares.cold, seed)
        notes.append(f"{hidden} users of both domains are cold: all that they had here is held out")
    notes.append(how)
    rows = _Rows(data, stage, with_unseen=contents)
    for part in (1, 2):
        if not rows.add_part(part):
            lost = "".join(f" {note}." for note in rows.notes)
            raise DataError(
                f"there are no users to {'choose' if part == 1 else 'judge'} by: the {PARTS[part]} part has nothing of"
                f" anyone with a history.{lost} Give more interactions, or larger shares with --set task.test=0.2."
            )
    notes += rows.notes
    ordered = not _lack_of_times(_times(examples))
    return rows.examples(examples.schema, notes, grouped=source is not None, ordered=ordered)


GIVEN = "The parts of the interactions are as given"


def _flat(examples: Examples, source: KnownHistories | None) -> Flat:
    offsets, values = flat(examples.table.column(ITEMS))
    items = values.cast(pa.string()).dictionary_encode()
    names = examples.table.column(USER).combine_chunks()
    users = np.repeat(np.arange(len(names)), np.diff(offsets))
    codes = items.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    if source is None:
        return Flat(
            users,
            codes,
            names,
            items.dictionary,
            lists_of(np.zeros(len(names) + 1, np.int64), np.empty(0, np.int64), items.dictionary),
        )
    beside = numbers_of(names, source.users)
    others = pa.concat_arrays([names, source.users.filter(pa.array(numbers_of(source.users, names) < 0))])
    starts, had = flat(source.items)
    rows = np.concatenate([beside, numbers_of(others.slice(len(names)), source.users)])
    lengths = np.where(rows >= 0, np.diff(starts)[rows], 0)
    places = np.repeat(starts[np.maximum(rows, 0)] - (np.cumsum(lengths) - lengths), lengths) + np.arange(lengths.sum())
    lists = lists_of(np.concatenate([[0], np.cumsum(lengths)]), places, had.cast(pa.string()))
    return Flat(users, codes, others, items.dictionary, lists)


def _overlap(data: Flat, source: KnownHistories, *, contents: bool) -> Sequence[str]:
    """Say how many users are shared. Raises DataError where none is."""
    own = len(np.unique(data.users))
    shared = own + len(source.users) - len(data.names)
    if shared == 0 and not contents:
        raise DataError(
            f"no user of the {own:,}, such as '{data.names[0]}', is among the {len(source.users):,} of the source"
            f" domain, such as '{source.users[0]}', and there are no contents of items (--items): nothing connects the"
            " domains. If users are the same people, give them the same ids."
        )
    told = [f"{shared:,} of {own:,} users are also among the {len(source.users):,} of the source domain"]
    if _counted(data.names.slice(0, own)) and _counted(source.users):
        told.append(
            "Both domains number their users without a gap. If each was numbered by itself, equal numbers are different"
            " people, and nothing can be learnt from the source: give the same person the same id in both"
        )
    return told


def _counted(users: pa.Array) -> bool:
    """Return whether users (users,) go by the whole numbers from 0 or 1 on."""
    given = pc.unique(users.cast(pa.string()))
    return any(
        bool(pc.all(pc.is_in(given, pa.array(map(str, range(first, first + len(given)))))).as_py()) for first in (0, 1)
    )


def _stages(data: Flat, examples: Examples, shares: Shares, seed: int) -> tuple[np.ndarray, str]:
    """0 for training, 1 for validation and 2 for test (interactions,), and how that was decided."""
    parts = _given(examples)
    if parts is not None:
        stage = parts.copy()
        missing = [part for part in (1, 2) if not (stage == part).any()]
        drawn = _drawn(data, stage, shares, seed, missing) if missing else stage
        words = "".join(f"; the {PARTS[part]} part is drawn from the train part" for part in missing)
        return drawn, GIVEN + words
    times = _times(examples)
    reason = _lack_of_times(times)
    if not reason:
        val, test = np.quantile(times, [1 - shares.test - shares.validation, 1 - shares.test])
        stage = (times > val).astype(np.int64) + (times > test)
        return stage, "The split is by time, at one moment for all users: nothing of the future is learnt from"
    stage = _drawn(data, np.zeros(len(data.users), np.int64), shares, seed, [1, 2])
    return stage, f"The split is by random interactions of each user, which leaks in time: {reason}"


TIMES = "times"


def _times(examples: Examples) -> np.ndarray:
    """(interactions,) seconds since 1970, NaN where there is none; (0,) without times."""
    return flat(column_of_lists(examples, TIMES))[1].to_numpy(zero_copy_only=False)


def _lack_of_times(times: np.ndarray) -> str:
    """Why the times (interactions,) give no order; '' where they do."""
    if not len(times):
        return "there are no times"
    if missing := int(np.isnan(times).sum()):
        return f"{missing:,} interactions have no time"
    different = len(np.unique(times))
    return "" if different > 2 else f"there {'is one time' if different == 1 else 'are two times'} for all interactions"


def _given(examples: Examples) -> np.ndarray | None:
    values = flat(column_of_lists(examples, "parts"))[1]
    return None if not len(values) else numbers_of(values.cast(pa.string()), pa.array(PARTS))


def _drawn(data: Flat, stage: np.ndarray, shares: Shares, seed: int, parts: Sequence[int]) -> np.ndarray:
    """Random interactions of users with at least `FEWEST` in the train part, at least one of each in each part."""
    found = stage.copy()
    rows = np.flatnonzero(stage == 0)
    order = rows[np.lexsort((np.random.default_rng(draw_seed(seed, "held out")).random(len(rows)), data.users[rows]))]
    users = data.users[order]
    counts = np.bincount(users, minlength=len(data.names))
    place = np.arange(len(order)) - (np.cumsum(counts) - counts)[users]
    start = np.zeros(len(counts))
    for part, share in ((1, shares.validation), (2, shares.test)):
        if part in parts:
            taken = np.maximum(1, np.round(share * counts)) * (counts >= FEWEST)
            found[order[(place >= start[users]) & (place < (start + taken)[users])]] = part
            start += taken
    return found


def _hiding_cold(data: Flat, stage: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, int]:
    """All interactions of some users of both domains in the validation part, and of as many others in the test part."""
    had = np.bincount(data.users, minlength=len(data.names)) > 0
    lengths = np.diff(flat(data.source)[0])
    shared = np.flatnonzero(had[: len(lengths)] & (lengths > 0))
    number = round(share * len(shared)) if len(shared) >= FEWEST_SHARED else 0
    drawn = np.random.default_rng(draw_seed(seed, "cold users")).permutation(shared)[: 2 * number]
    found = stage.copy()
    found[np.isin(data.users, drawn[:number])] = 1
    found[np.isin(data.users, drawn[number:])] = 2
    return found, 2 * number


class _Rows:
    """Rows of the examples: one per user for training, then one per user and part that is held out."""

    def __init__(self, data: Flat, stage: np.ndarray, *, with_unseen: bool) -> None:
        self.data, self.stage, self.with_unseen = data, stage, with_unseen
        self.notes: list[str] = []
        self._beside = np.diff(flat(data.source)[0]) > 0
        # who is cold in validation and test stays so: what is held out for one is no history for the other
        cold = (self._counts(0) == 0) & (self._counts(2) > 0)
        self.history = np.where(cold[data.users] & (stage == 1), NEVER, stage)
        everyone = np.arange(len(data.names))
        had = self._counts(0) > 0
        self._users, self._parts = [everyone[had | self._beside]], [0]

    def _counts(self, stage: int) -> np.ndarray:
        return np.bincount(self.data.users[self.stage == stage], minlength=len(self.data.names))

    def add_part(self, part: int) -> int:
        """Add the users with something held out in a part; how many."""
        before = self.history < part
        seen = np.zeros(len(self.data.catalogue), bool)
        seen[self.data.items[before]] = True
        held = self.stage == part
        unseen = held & ~seen[self.data.items]
        if unseen.any() and not self.with_unseen:
            many = len(np.unique(self.data.items[unseen]))
            self.notes.append(
                f"{PARTS[part]}: {unseen.sum():,} interactions are with {many:,} items that nobody had before, which no"
                " method can know: they are left out"
            )
            self.stage, self.history = (np.where(unseen, NEVER, of) for of in (self.stage, self.history))
            held &= ~unseen
        wanted = np.bincount(self.data.users[held], minlength=len(self.data.names)) > 0
        history = np.bincount(self.data.users[before], minlength=len(self.data.names)) > 0
        new = wanted & ~history & ~self._beside
        if new.any():
            self.notes.append(f"{PARTS[part]}: {new.sum():,} users without any history are left out")
        users = np.flatnonzero(wanted & (history | self._beside))
        self._users.append(users)
        self._parts.append(part)
        return len(users)

    def examples(self, schema: Schema, notes: Sequence[str], *, grouped: bool, ordered: bool) -> Examples:
        """All rows with their histories, what came after, their part and their group."""
        users = np.concatenate(self._users)
        parts = np.repeat(self._parts, [len(part) for part in self._users])
        upto = np.maximum(parts - 1, 0)
        items = self._lists(users, [(self.history <= limit) for limit in (0, 1)], upto)
        none = np.zeros(len(self.stage), bool)
        relevant = self._lists(users, [none, self.stage == 1, self.stage == 2], parts)
        has = pc.list_value_length(items).to_numpy(zero_copy_only=False) > 0
        group = np.where(has, np.where(self._beside[users], SHARED, UNSHARED), COLD)
        names = self.data.names.take(pa.array(users))
        words = pa.array(np.array(PARTS)[parts])
        table = {USER: names, ITEMS: items, SOURCE: self.data.source.take(pa.array(users)), MOMENT: words}
        table |= {RELEVANT: relevant, "part": words, OVERLAP: pa.array(group)}
        table["origin"] = pc.binary_join_element_wise(pa.scalar("user"), names, " ")
        table |= {ORDERED: pa.array(np.ones(len(users), bool))} if ordered else {}
        settled = {"targets": {RELEVANT: RELEVANT}, "part": "part", "slices": (OVERLAP,) if grouped else ()}
        return Examples(pa.table(table), schema.model_copy(update=settled), tuple(notes))

    def _lists(self, users: np.ndarray, kept: Sequence[np.ndarray], which: np.ndarray) -> pa.Array:
        """A list for each of the users (rows,): their interactions in the set of `kept` that `which` names."""
        bounds, pieces = np.searchsorted(self.data.users, np.arange(len(self.data.names) + 1)), []
        lengths = np.zeros(len(users), np.int64)
        for number, keep in enumerate(kept):
            rows = np.flatnonzero(which == number)
            sums = np.concatenate([[0], np.cumsum(keep)])
            places = np.flatnonzero(keep)
            starts, stops = sums[bounds[users[rows]]], sums[bounds[users[rows] + 1]]
            lengths[rows] = stops - starts
            pieces.append((rows, places, starts))
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        codes = np.empty(offsets[-1], np.int64)
        for rows, places, starts in pieces:
            each = lengths[rows]
            inside = np.arange(each.sum()) - np.repeat(np.cumsum(each) - each, each)
            codes[np.repeat(offsets[rows], each) + inside] = self.data.items[places[np.repeat(starts, each) + inside]]
        return lists_of(offsets, codes, self.data.catalogue)
