"""Interactions: a table with a row for each item that a user had, with optional rating and time; RecBole's `.inter`.

Every row counts as an interaction, whatever its rating, unless `least` is set. A folder with a table per part, or a
column 'part', is a given split. The rows of a user become one example.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
from pydantic import Field

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.format import Columns, in_pieces
from headstart.contracts.interactions import ITEMS, SOURCE, USER, lists_of
from headstart.contracts.left_out import LeftOut
from headstart.formats._interaction_columns import Roles, doubts_of, roles_of, seconds_of
from headstart.formats._parts import PART_COLUMN, part_of
from headstart.formats._table_sources import find_tables, in_words, read_tables
from headstart.kernel.errors import DataError
from headstart.kernel.settings import Settings


class Interactions(Settings):
    """Users with the items that they had."""

    narrows: ClassVar[str] = "table"
    """The format whose data this one takes where no column is named."""

    user: str | None = None
    """Column of users; recognised by its name without."""
    item: str | None = None
    """Column of items."""
    rating: str | None = None
    """Column of ratings."""
    time: str | None = None
    """Column of times: dates, or numbers since 1970."""
    least: float | None = None
    """Rating from which on a row counts as an interaction; every row counts without."""
    domain: Literal["auto", "target", "source"] = "auto"
    """Domain of histories to predict from: 'source' for items of the source domain; by the column 'domain' without."""
    table: str | None = Field(default=None)
    """The sheet or table, where a file has several."""

    @classmethod
    def recognises(cls, source: Any) -> str | None:
        """Which tables, where all their columns are users, items, ratings, times and parts."""
        try:
            tables = None if _is_inter(source) else find_tables(source)
        except DataError:
            return None
        if _is_inter(source):
            return f"interactions in {Path(source).name}"
        if not tables:
            return None
        found = [roles_of(part.source.names()) for part in tables]
        if any(roles.user is None or roles.item is None or roles.others for roles in found):
            return None
        return f"interactions in {in_words(tables)}"

    def read(self, source: Any, columns: Columns, *, labelled: bool = True) -> Examples:
        """One row per user.

        Raises:
            DataError: no column of users or items, or no row with both.
        """
        table, notes = self._table(source, columns)
        roles = self._roles(table, columns)
        if roles.user is None or (roles.item is None and labelled):
            which = "users" if roles.user is None else "items"
            raise DataError(
                f"{source} has no column of {which} that is recognised. Columns: {', '.join(roles.others)}. Name it "
                f"with --set format.{which[:-1]}=COLUMN."
            )
        return _examples(self, table, roles, notes)

    def stream(self, source: Any, columns: Columns, rows: int) -> Iterator[Examples]:
        """The users with all that they had, some `rows` at a time."""
        yield from in_pieces(self.read(source, columns.model_copy(update={"part": None}), labelled=False), rows)

    def _table(self, source: Any, columns: Columns) -> tuple[pa.Table, list[str]]:
        if _is_inter(source):
            tabs = pa.csv.ParseOptions(delimiter="\t")
            table = pa.csv.read_csv(source, parse_options=tabs, convert_options=_tokens_as_text(source))
            if not table.num_rows:
                raise DataError(f"{source} has columns but no rows")
            return table, []
        tables = find_tables(source, self.table)
        if not tables:
            raise DataError(f"{source} holds no table of interactions")
        names = [self._roles(part.source, columns) for part in tables]
        as_text = frozenset(filter(None, (name for roles in names for name in (roles.user, roles.item))))
        return read_tables(tables, as_text), [note for part in tables for note in part.source.notes]

    def _roles(self, table: Any, columns: Columns) -> Roles:
        names = list(table.column_names if isinstance(table, pa.Table) else table.names())
        found = roles_of(names)
        given: dict[str, Any] = {
            "user": self.user,
            "item": self.item,
            "rating": self.rating,
            "time": self.time,
            "part": columns.part,
        }
        for role, name in given.items():
            if name is not None and name not in names:
                raise DataError(f"no column '{name}' for {role} in the data. Columns: {', '.join(names)}")
        return found._replace(**{role: name for role, name in given.items() if name is not None})


def _is_inter(source: Any) -> bool:
    return isinstance(source, (str, Path)) and Path(source).suffix == ".inter" and Path(source).is_file()


def _tokens_as_text(source: Any) -> pa.csv.ConvertOptions:
    with open(source, encoding="utf-8") as file:
        names = file.readline().rstrip("\n").split("\t")
    return pa.csv.ConvertOptions(column_types={name: pa.string() for name in names if not name.endswith(":float")})


def _examples(reader: Interactions, table: pa.Table, roles: Roles, notes: list[str]) -> Examples:
    """The rows of each user as one example."""
    frame = pd.DataFrame({USER: _texts(table, roles.user), ITEMS: _texts(table, roles.item)})
    rating = None if roles.rating is None else pd.to_numeric(table.column(roles.rating).to_pandas(), errors="coerce")
    if roles.time is not None:
        frame["time"], told = seconds_of(table.column(roles.time))
        notes += told
    parts = PART_COLUMN if PART_COLUMN in table.column_names else roles.part
    if parts is not None:
        frame["part"] = [part_of(str(value)) for value in table.column(parts).to_pylist()]
    source = reader.domain == "source"
    frame["source"] = (
        source if roles.domain is None else [value == "source" for value in table.column(roles.domain).to_pylist()]
    )
    frame, more = _kept(frame, rating, reader.least, with_items=roles.item is not None)
    notes += more
    if not len(frame):
        lacking = "no row has both a user and an item" if roles.item else "no row has a user"
        raise DataError(f"{lacking} that counts. {'. '.join(more)}" if more else lacking)
    return _by_user(frame, notes, rating)


def _texts(table: pa.Table, name: str | None) -> pd.Series:
    if name is None:
        return pd.Series([None] * table.num_rows, dtype=object)
    return table.column(name).cast(pa.string()).to_pandas().str.strip().replace("", None)


def _kept(
    frame: pd.DataFrame, rating: pd.Series | None, least: float | None, *, with_items: bool
) -> tuple[pd.DataFrame, list[str]]:
    """The rows that count, and how many do not."""
    notes: list[str] = []
    whole = frame[USER].notna() & (frame[ITEMS].notna() | (not with_items))
    if not whole.all():
        notes.append(LeftOut(int((~whole).sum()), f"rows without a user or an item, left out: {(~whole).sum():,}"))
    if least is not None and rating is not None:
        low, none = whole & (rating < least), whole & rating.isna()
        notes.append(f"{low.sum():,} rows with a rating below {least:g} do not count")
        if none.any():
            notes.append(LeftOut(int(none.sum()), f"rows whose rating is no number, left out: {none.sum():,}"))
        whole &= ~(low | none)
    frame = frame[whole]
    if "time" in frame:
        frame = frame.sort_values("time", kind="stable")
    twice = frame.duplicated([USER, ITEMS, "source"])
    if with_items and twice.any():
        notes.append(f"{twice.sum():,} repeated interactions of a user with an item count once, the first")
    return frame[~twice], notes


def _by_user(frame: pd.DataFrame, notes: list[str], rating: pd.Series | None) -> Examples:
    frame = frame.sort_index(kind="stable") if "time" not in frame else frame
    users, names = pd.factorize(frame[USER])
    order = np.argsort(users, kind="stable")
    frame, users = frame.iloc[order], users[order]
    items, catalogue = pd.factorize(frame[ITEMS])
    own = items >= 0
    if own.any():
        notes += doubts_of(
            users[own], items[own], None if rating is None else rating.loc[frame.index].to_numpy(np.float64)
        )
    source = frame["source"].to_numpy(bool)
    known = pa.array(catalogue, pa.string())
    columns: dict[str, pa.Array] = {USER: pa.array(names, pa.string())}
    for name, kept in ((ITEMS, own & ~source), (SOURCE, own & source)):
        columns[name] = lists_of(_offsets(users[kept], len(names)), items[kept], known)
    kept = own & ~source
    if "time" in frame:
        columns["times"] = _numbers(users[kept], len(names), frame["time"].to_numpy()[kept])
    if "part" in frame:
        parts, called = pd.factorize(frame["part"][kept])
        columns["parts"] = lists_of(_offsets(users[kept], len(names)), parts, pa.array(called, pa.string()))
    columns["origin"] = pa.array([f"user {name}" for name in names], pa.string())
    schema = Schema(modality="interactions", inputs=(USER, ITEMS), origin="origin", id=USER)
    schema = schema.model_copy(update={"part": "parts"} if "part" in frame else {})
    return Examples(pa.table(columns), schema, tuple(notes))


def _offsets(users: np.ndarray, count: int) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(np.bincount(users, minlength=count))])


def _numbers(users: np.ndarray, count: int, values: np.ndarray) -> pa.Array:
    return pa.LargeListArray.from_arrays(pa.array(_offsets(users, count), pa.int64()), pa.array(values))
