"""Panels of a fit to interactions, from the validation part: lists beside histories, gain by popularity of items, and
what shared users are worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from headstart.contracts.examples import Examples
from headstart.contracts.interactions import COLD, ITEMS, RELEVANT, SHARED, SOURCE, UNSHARED, Domains, column_of_lists
from headstart.contracts.metric import SHARE
from headstart.contracts.panels import Panel, Table
from headstart.contracts.prediction import Prediction

SHARES = (0.25, 0.5)
"""Of the users of both domains, beside all."""

SHOWN_USERS, SHOWN_ITEMS = 3, 6

BANDS = 4
"""Of items by popularity."""


class Listed(NamedTuple):
    """Users of the validation part with what is listed for them."""

    users: Examples
    lists: Prediction
    control: Prediction
    """Without transfer."""


def list_panel(listed: Listed, names: Sequence[str], column: str, k: int) -> Panel:
    """Show some users of each group: what they had, what is listed and what came after.

    Args:
        listed: users and lists. names: of the items. column: of the lists in predictions. k: items of a list.
    """
    had, source, after = (column_of_lists(listed.users, name) for name in (ITEMS, SOURCE, RELEVANT))
    group = [(bool(len(own)), bool(len(other))) for own, other in zip(had, source)]
    kinds = {SHARED: (True, True), COLD: (False, True), UNSHARED: (True, False)}
    rows: list[tuple[str, ...]] = []
    for kind, wanted in kinds.items():
        for row in [n for n, one in enumerate(group) if one == wanted][:SHOWN_USERS]:
            items = [names[item] for item in listed.lists.columns[column][row][:k] if item >= 0]
            histories = (_words([str(one) for one in side[row]]) for side in (had, source))
            rows.append((kind, *histories, _words(items), _words([str(one) for one in after[row]])))
    header = ("users", "had here", "had in the source domain", "is recommended", "had later")
    return Table(title="Lists beside histories", note="Users of the validation part.", header=header, rows=tuple(rows))


def _words(items: Sequence[str]) -> str:
    more = len(items) - SHOWN_ITEMS
    return ", ".join(items[:SHOWN_ITEMS]) + (f" and {more} more" if more > 0 else "")


def popularity_panel(listed: Listed, relevant: np.ndarray, counts: np.ndarray, column: str, k: int) -> Panel:
    """Show how many of the relevant items are found with transfer and without, by the popularity of items.

    Args:
        listed: users and lists. relevant: (users,) of (items,) numbers. counts: (items,) training users of each.
    """
    order = np.argsort(counts, kind="stable")
    band = np.empty(len(counts), np.int64)
    band[order] = np.minimum(BANDS * np.cumsum(counts[order]) // max(1, counts.sum() + 1), BANDS - 1)
    found = np.zeros((2, BANDS))
    wanted = np.zeros(BANDS)
    for row, items in enumerate(relevant):
        wanted += np.bincount(band[items], minlength=BANDS)
        for place, prediction in enumerate((listed.lists, listed.control)):
            hits = np.intersect1d(items, prediction.columns[column][row][:k])
            found[place] += np.bincount(band[hits], minlength=BANDS)
    shares = found / np.maximum(wanted, 1)
    rows = tuple(
        (f"{int(counts[band == n].min())} to {int(counts[band == n].max())}", int(wanted[n]), *map(float, shares[:, n]))
        for n in range(BANDS)
        if (band == n).any()
    )
    header = ("training users who had the item", "relevant", f"found in the first {k}", "without transfer")
    note = "Items in bands with a quarter of all interactions each."
    return Table(title="Gain by popularity of items", note=note, header=header, rows=rows, units=("", "", SHARE, SHARE))


def overlap_panel(
    domains: Domains, judged: Callable[[Domains], float], reached: tuple[float, float], title: str, seed: int
) -> Panel:
    """Show what the recommender that was chosen would reach with fewer users of both domains.

    Args:
        domains: of training. judged: the primary metric on validation users, solved on other domains.
        reached: the metric with all of them, and without transfer. title: of the metric. seed: decides who is kept.
    """
    shared = np.random.default_rng(seed).permutation(domains.shared)
    (whole, control), rows = reached, []
    for share in SHARES:
        dropped = shared[round(share * len(shared)) :]
        value = judged(without_source(domains, dropped))
        rows.append((share, len(shared) - len(dropped), value, value - control))
    rows.append((1.0, len(shared), whole, whole - control))
    return Table(
        title="What the overlap is worth",
        note=f"{title} on validation with a part of the users of both domains; the others count as two users each.",
        header=("share of the shared users", "users", title, "gain over no transfer"),
        rows=tuple(rows),
        units=(SHARE, "", SHARE, SHARE),
    )


def without_source(domains: Domains, rows: np.ndarray) -> Domains:
    """The same domains with the source histories of some users (rows,) under other users."""
    if domains.source is None or not len(rows):
        return domains
    moved = csr_array(domains.source[rows])
    kept = domains.source.copy()
    dropped = np.zeros(kept.shape[0], bool)
    dropped[rows] = True
    kept.data[np.repeat(dropped, np.diff(kept.indptr))] = 0
    kept.eliminate_zeros()
    empty = csr_array((len(rows), domains.target.shape[1]), dtype=np.float32)
    return replace(domains, target=_stacked(domains.target, empty), source=_stacked(kept, moved))


def _stacked(upper: csr_array, lower: csr_array) -> csr_array:
    parts: Mapping[str, np.ndarray] = {
        name: np.concatenate([getattr(upper, name), getattr(lower, name)]) for name in ("data", "indices")
    }
    indptr = np.concatenate([upper.indptr, upper.indptr[-1] + lower.indptr[1:]])
    return csr_array((parts["data"], parts["indices"], indptr), shape=(len(indptr) - 1, upper.shape[1]))
