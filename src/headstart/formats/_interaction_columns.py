"""Columns of interactions: which is the user, the item, the rating and the time, and what is doubtful in them."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from headstart.formats._rows import ORIGIN

USERS = {"user", "userid", "users", "uid", "customer", "customerid", "reviewerid", "member", "memberid", "account"}
ITEMS = {"item", "itemid", "items", "iid", "product", "productid", "asin", "parentasin", "movie", "movieid", "film"}
ITEMS |= {"filmid", "book", "bookid", "isbn", "song", "songid", "track", "trackid", "artist", "artistid", "game"}
ITEMS |= {"gameid", "article", "articleid", "business", "businessid"}
RATINGS = {"rating", "ratings", "score", "stars", "overall", "value", "weight", "count", "plays"}
TIMES = {"time", "timestamp", "timestamps", "date", "datetime", "ts", "unixreviewtime", "reviewtime", "ratedat"}
PARTS = {"part", "split", "subset"}
DOMAINS = {"domain"}

UNITS = {"seconds": 1e11, "milliseconds": 1e14, "microseconds": 1e17, "nanoseconds": np.inf}
"""Unit -> the number below which a time since 1970 is in it; each is a thousandth of the one before."""

DAY = 86_400.0

UNEVEN, MANY = {False: 0.15, True: 0.06}, 200
"""By how much users may be less even than items, of which few and many, from 200 of each on, are judged apart. In
MovieLens and Amazon's ratings items are less even than users, by 0.07 to 0.15."""


class Roles(NamedTuple):
    """Columns by what they hold; None for what is not there."""

    user: str | None
    item: str | None
    rating: str | None
    time: str | None
    part: str | None
    domain: str | None
    others: tuple[str, ...]


def plain(name: str) -> str:
    """Return a column's name without RecBole's type, signs and capitals: 'user_id:token' -> 'userid'."""
    return re.sub(r"[^a-z]", "", name.partition(":")[0].lower())


def roles_of(names: Sequence[str]) -> Roles:
    """Return the roles of columns by their names, the first of each."""
    found: dict[int, str] = {}
    others = []
    for name in names:
        role = next(
            (n for n, known in enumerate((USERS, ITEMS, RATINGS, TIMES, PARTS, DOMAINS)) if plain(name) in known), None
        )
        if name == ORIGIN:
            continue
        if role is None or role in found:
            others.append(name)
        else:
            found[role] = name
    user, item, rating, time, part, domain = (found.get(role) for role in range(6))
    return Roles(user, item, rating, time, part, domain, tuple(others))


def seconds_of(column: pa.ChunkedArray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return times (rows,) float64 in seconds, NaN where there is none, and what is to be told of them."""
    if pa.types.is_temporal(column.type):
        return column.cast(pa.timestamp("ns")).to_pandas().to_numpy().astype("datetime64[ns]").astype(float) / 1e9, ()
    values = pd.to_numeric(column.to_pandas(), errors="coerce").to_numpy(np.float64, na_value=np.nan)
    if np.isnan(values).all():
        parsed = pd.to_datetime(column.to_pandas(), errors="coerce", utc=True, format="mixed")
        values = np.where(parsed.isna(), np.nan, parsed.astype("datetime64[ns, UTC]").astype("int64") / 1e9)
    notes = []
    size, units = np.abs(np.nan_to_num(values)), list(UNITS)
    unit = np.searchsorted(list(UNITS.values()), size, side="right")
    counts = np.bincount(unit[~np.isnan(values)], minlength=4)
    if (counts > 0).sum() > 1:
        words = ", ".join(f"{count:,} in {name}" for name, count in zip(units, counts) if count)
        notes.append(f"Times are of mixed units ({words}): each is taken by its size")
    values = values / 1000.0**unit
    future = values > time.time() + DAY
    if future.any():
        notes.append(f"{future.sum():,} times lie in the future: check the clock or the unit of the column")
    return values, tuple(notes)


def doubts_of(users: np.ndarray, items: np.ndarray, ratings: np.ndarray | None) -> tuple[str, ...]:
    """Return what looks odd in numbers of users and items (interactions,), each from 0 on, and in ratings."""
    notes = []
    counts = np.bincount(users), np.bincount(items)
    margin = UNEVEN[min(map(len, counts)) >= MANY]
    if len(users) and uneven(counts[0]) > uneven(counts[1]) + margin:
        notes.append(
            f"The interactions are spread over {users.max() + 1:,} users less evenly than over {items.max() + 1:,}"
            " items, which is unusual: if the columns are swapped, name them with --set format.user=COLUMN"
            " --set format.item=COLUMN"
        )
    if ratings is not None and (there := ratings[~np.isnan(ratings)]).size:
        high = float(there.max())
        usual = float(np.quantile(there, 0.75))
        if high > 10 and usual <= 0.5 * high and np.isin(there, np.arange(0, 10.5, 0.5)).mean() > 0.5:
            many = int((there > 10).sum())
            notes.append(
                f"Ratings are of mixed scales: {many:,} are above 10, up to {high:g}, and most are at most {usual:g}"
            )
    return tuple(notes)


def uneven(counts: np.ndarray) -> float:
    """Return the Gini coefficient of counts (things,): 0 where all are alike, near 1 where one has everything."""
    rising = np.sort(counts).astype(np.float64)
    places = np.arange(1, len(rising) + 1)
    return float(2 * (places @ rising) / (len(rising) * rising.sum()) - (len(rising) + 1) / len(rising))
