"""Rows of a table as numbers: gaps filled, dates in parts, categories one-hot, by what the training rows hold.

scikit-learn's SimpleImputer, StandardScaler and OneHotEncoder learn; what they learnt is kept as plain values, so that
a saved model needs no pickle. Numbers are scaled only beside columns of another kind: alone they keep their units, and
a complete row of numbers stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cached_property
from typing import Literal

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from headstart.kernel.errors import DataError
from headstart.kernel.settings import Settings

Row = np.ndarray | tuple[float | str | datetime | None, ...]
"""(columns,) float64, NaN for a gap; a tuple where there are categories (str) or dates, None for a gap."""

Kind = Literal["number", "category", "date", "nothing"]
"""Of a column; 'nothing' where no training row has a value, and then it is not used."""

MOST_CATEGORIES = 200
"""Of one column, the one of all infrequent values included; histogram trees take 255."""
FEWEST_ROWS = 2
"""Training rows of a category that is not infrequent."""
PARTS = ("days since 1970", "year", "month", "day", "weekday", "hour")
"""Of a date; those that differ between training rows are used."""


class Encoding(Settings):
    """Values that the training rows taught. A slot is a column of numbers or a part of a date."""

    kinds: tuple[Kind, ...]
    """Of each column."""
    parts: tuple[tuple[str, ...], ...] = ()
    """Of each column of dates."""
    fill: tuple[float, ...] = ()
    """The median of each slot."""
    used: tuple[int, ...] = ()
    """Slots that training rows differ in; of numbers alone all that have a value."""
    gaps: tuple[int, ...] = ()
    """The first slot of each column that some training rows have and others lack: it has a column of 1 for a gap."""
    mean: tuple[float, ...] = ()
    """Of each slot, to be subtracted; empty where numbers keep their units."""
    scale: tuple[float, ...] = ()
    """Of each slot, to be divided by."""
    categories: tuple[tuple[str, ...], ...] = ()
    """Frequent values of each column of categories."""
    infrequent: tuple[bool, ...] = ()
    """Whether a column of categories has infrequent values, one category in all; an unknown value is taken for it."""
    empty: tuple[bool, ...] = ()
    """Whether a column of categories has gaps, a category too."""

    @property
    def width(self) -> int:
        """Columns of `encoded`."""
        one_hot = sum(map(len, self.categories)) + sum(self.infrequent) + sum(self.empty)
        return len(self.used) + len(self.gaps) + one_hot

    @property
    def categorical(self) -> np.ndarray:
        """(columns of `codes`,) bool: which are categories."""
        return np.repeat([False, True], [len(self.fill), len(self.categories)])

    def encoded(self, rows: Sequence[Row]) -> np.ndarray:
        """(rows, width) float64 without gaps: slots, gaps, categories. Raises DataError on rows of other columns."""
        numbers, words = self._read(rows)
        known, used = ~np.isnan(numbers), list(self.used)
        if len(used) == len(self.kinds) and not self.gaps and not self.mean and known.all():
            return numbers
        filled = np.where(known, numbers, self.fill)
        if self.mean:
            filled = (filled - self.mean) / self.scale
        coded = (self._one_hot(k, column) for k, column in enumerate(words))
        return np.concatenate([filled[:, used], ~known[:, list(self.gaps)], *coded], axis=1, dtype=np.float64)

    def codes(self, rows: Sequence[Row]) -> np.ndarray:
        """(rows, slots and columns of categories) float64, as trees take them: NaN for a gap or an unknown category.

        Raises:
            DataError: rows of other columns.
        """
        numbers, words = self._read(rows)
        places = [self._places(k, column) for k, column in enumerate(words)]
        return np.column_stack([numbers, *(np.where(place < 0, np.nan, place) for place in places)])

    def surprises(self, rows: Sequence[Row], names: Sequence[str]) -> Iterator[str]:
        """Yield sentences on gaps and categories that training rows did not have. Raises DataError on other columns."""
        numbers, words = self._read(rows)
        for slot, column in _first_slots(self.kinds, self.parts).items():
            count = int(np.isnan(numbers[:, slot]).sum())
            if count and slot in self.used and slot not in self.gaps:
                yield f"column '{names[column]}' never had gaps in training; filled with its median: {count:,}"
        columns = [column for column, kind in enumerate(self.kinds) if kind == "category"]
        for column, known, values in zip(columns, self._place, words):
            strange = [value for value in values if value is not None and value not in known]
            if strange and known and not self.infrequent[columns.index(column)]:
                yield f"column '{names[column]}', values not seen in training: {len(strange):,}, such as {strange[0]!r}"

    @cached_property
    def _place(self) -> tuple[dict[str, int], ...]:
        return tuple({value: place for place, value in enumerate(some)} for some in self.categories)

    def _read(self, rows: Sequence[Row]) -> tuple[np.ndarray, list[Sequence[str | None]]]:
        for row in rows:
            if len(row) != len(self.kinds):
                what = "numbers" if isinstance(row, np.ndarray) else "values"
                raise DataError(f"has {len(row)} {what}; expected {len(self.kinds)}")
        try:
            return _read(rows, self.kinds, self.parts)
        except (TypeError, ValueError) as error:
            raise DataError(f"has values of other kinds than the rows learnt from: {error}") from error

    def _places(self, column: int, words: Sequence[str | None]) -> np.ndarray:
        """(rows,) int: the place of each category, -1 for none."""
        known = self._place[column]
        other = len(known) if self.infrequent[column] else -1
        return np.array([-1 if word is None else known.get(word, other) for word in words], dtype=np.int64)

    def _one_hot(self, column: int, words: Sequence[str | None]) -> np.ndarray:
        places, frequent = self._places(column, words), len(self.categories[column]) + self.infrequent[column]
        if self.empty[column]:
            places[[word is None for word in words]] = frequent
        return np.equal.outer(places, np.arange(frequent + self.empty[column])).astype(np.float64)


def learn(rows: Sequence[Row], *, alone: bool = True) -> Encoding:
    """Learn from training rows how rows are read; a column is of the kind of its values.

    Args:
        rows: at least one.
        alone: whether nothing else is learnt from, so that numbers may keep their units.
    """
    kinds = _kinds(rows)
    alone = alone and set(kinds) == {"number"}
    dates = [column for column, kind in zip(zip(*rows), kinds) if kind == "date"] if "date" in kinds else []
    parts = tuple(map(_varying, dates))
    numbers, words = _read(rows, kinds, parts)
    learnt = [_categories(column) for column in words]
    found = {
        "kinds": kinds,
        "parts": parts,
        "categories": tuple(frequent for frequent, _, _ in learnt),
        "infrequent": tuple(rare for _, rare, _ in learnt),
        "empty": tuple(empty for _, _, empty in learnt),
    }
    slots = _numbers(numbers, list(_first_slots(kinds, parts)), alone=alone) if numbers.size else {}
    return Encoding(**found, **slots)


def gaps_in(rows: Sequence[Row], names: Sequence[str]) -> tuple[str, ...]:
    """Sentences on the gaps of training rows."""
    counts = [sum(cell is None or cell != cell for cell in column) for column in zip(*rows)]
    void = [name for name, count in zip(names, counts) if count == len(rows)]
    some = [f"{name} ({count:,})" for name, count in zip(names, counts) if 0 < count < len(rows)]
    filled = f"training rows without a value, by column: {', '.join(some)}; numbers and dates get the median, a gap"
    return (
        *([f"{filled} is learnt from as such"] if some else []),
        *([f"columns without a value in any training row, not used: {', '.join(void)}"] if void else []),
    )


def _numbers(numbers: np.ndarray, first: list[int], *, alone: bool) -> dict[str, tuple[float, ...]]:
    """Fields of an encoding for slots (rows, slots), of which `first` are those of a column each."""
    gaps, some = np.isnan(numbers).any(axis=0), ~np.isnan(numbers).all(axis=0)
    imputer = SimpleImputer(strategy="median", keep_empty_features=True).fit(numbers)
    found = {"fill": tuple(imputer.statistics_.tolist()), "gaps": tuple(k for k in first if gaps[k] and some[k])}
    if alone:
        return {**found, "used": tuple(np.flatnonzero(some).tolist())}
    scaler = StandardScaler().fit(imputer.transform(numbers))
    used = tuple(np.flatnonzero(some & (scaler.var_ > 0)).tolist())
    return {**found, "used": used, "mean": tuple(scaler.mean_.tolist()), "scale": tuple(scaler.scale_.tolist())}


def _categories(words: Sequence[str | None]) -> tuple[tuple[str, ...], bool, bool]:
    """Frequent values, whether there are others, and whether there are gaps; nothing where all rows say the same."""
    known = np.array([word for word in words if word is not None], dtype=object)[:, None]
    if not len(known):
        return (), False, False
    encoder = OneHotEncoder(
        min_frequency=FEWEST_ROWS, max_categories=MOST_CATEGORIES, handle_unknown="infrequent_if_exist"
    )
    rare = encoder.fit(known).infrequent_categories_[0]
    gone = set() if rare is None else set(rare)
    frequent = tuple(str(value) for value in encoder.categories_[0] if value not in gone)
    empty = len(known) < len(words)
    return (frequent, bool(gone), empty) if len(frequent) + bool(gone) + empty > 1 else ((), False, False)


def _kinds(rows: Sequence[Row]) -> tuple[Kind, ...]:
    if isinstance(rows[0], np.ndarray):
        numbers: list[Kind] = ["number"] * len(rows[0])
        return tuple(numbers)
    return tuple(_kind(next((cell for cell in column if cell is not None), None)) for column in zip(*rows))


def _kind(cell: float | str | datetime | None) -> Kind:
    if cell is None:
        return "nothing"
    return "category" if isinstance(cell, str) else "date" if isinstance(cell, datetime) else "number"


def _first_slots(kinds: Sequence[Kind], parts: Sequence[Sequence[str]]) -> dict[int, int]:
    """The first slot of each column of numbers or dates -> that column."""
    left, found, slot = iter(parts), dict[int, int](), 0
    for column, kind in enumerate(kinds):
        if kind in ("number", "date"):
            found[slot] = column
            slot += len(next(left)) if kind == "date" else 1
    return found


def _read(
    rows: Sequence[Row], kinds: Sequence[Kind], parts: Sequence[Sequence[str]]
) -> tuple[np.ndarray, list[Sequence[str | None]]]:
    """(rows, slots) float64, NaN for a gap, and the columns of categories."""
    if isinstance(rows[0], np.ndarray):
        return np.stack([np.asarray(row, np.float64) for row in rows]), []
    slots, words, left = list[np.ndarray](), list[Sequence[str | None]](), iter(parts)
    for column, kind in zip(zip(*rows), kinds):
        if kind == "category":
            words.append(column)
        elif kind == "number":
            slots.append(np.array(column, np.float64))
        elif kind == "date":
            found = _parts(column)
            slots += [found[part] for part in next(left)]
    return np.stack(slots, axis=1) if slots else np.empty((len(rows), 0)), words


def _varying(column: Sequence[datetime | None]) -> tuple[str, ...]:
    """Parts that differ between dates; one of them all where none differs."""
    found = {part: len(np.unique(values[~np.isnan(values)])) for part, values in _parts(column).items()}
    return tuple(part for part in PARTS if found[part] > 1) or PARTS[:1]


def _parts(column: Sequence[datetime | None]) -> dict[str, np.ndarray]:
    """Part -> (rows,) float64, NaN where there is no date."""
    times = np.array(column, "datetime64[us]")
    days, months, years = (times.astype(f"datetime64[{unit}]") for unit in "DMY")
    since = (times - np.datetime64(0, "D")) / np.timedelta64(1, "D")
    known = ~np.isnat(times)
    whole = {
        "year": years.astype(int) + 1970,
        "month": months.astype(int) % 12 + 1,
        "day": (days - months).astype(int) + 1,
        "weekday": (days.astype(int) + 3) % 7,
        "hour": (times.astype("datetime64[h]") - days).astype(int),
    }
    return {PARTS[0]: since, **{part: np.where(known, values, np.nan) for part, values in whole.items()}}
