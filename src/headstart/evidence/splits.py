"""Splits into train, validation and test: stratified, never across a group, duplicates on one side.

Examples that must stay together (a group, a cluster of duplicates, and what these share) are one unit. Each unit has a
draw in [0, 1) that depends on the seed and on its content, not on its row. In the order of draws a unit goes to the
test part as long as that brings the part's class counts nearer to what is asked, then likewise to validation; the rest
trains. Without groups this is exact stratification, and new data move only the few units at the edge of a part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from headstart.evidence.clusters import Clusters
from headstart.evidence.given_parts import read_given
from headstart.kernel.errors import DataError, some
from headstart.kernel.randomness import draw_seed

_ODD = 0.05
"""A part whose share is further than this from what was asked is told of."""
_FEW = 50
"""Below this many examples shares cannot be met closely anyway."""
_SMALL = 10
"""Examples of a class below which its shares are far from what is asked."""


@dataclass(frozen=True)
class Split:
    """Rows of each part, ascending; every row is in exactly one."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    notes: tuple[str, ...] = ()
    """What the user should know about how it came about."""
    leaks: tuple[tuple[int, int], ...] = ()
    """(row outside train, row in train) that are duplicates across a given split. They were not moved."""
    units: np.ndarray | None = None
    """(rows,) int: rows of a number stay together, as groups and copies do; None where each is by itself."""


@dataclass(frozen=True)
class _Units:
    """Rows that stay together, as one."""

    of_row: np.ndarray
    """(rows,) int: the unit of each row."""
    strata: list[np.ndarray]
    """For each unit, the strata that it holds."""
    counts: list[np.ndarray]
    """For each unit, its number of examples of each of these."""
    order: np.ndarray
    """(units,) int: units by their draw."""
    totals: np.ndarray
    """(strata,) int: examples of each stratum."""


def split(
    strata: np.ndarray,
    *,
    clusters: np.ndarray | None = None,
    groups: Sequence[object] | None = None,
    given: Sequence[str | None] | None = None,
    keys: Sequence[str | None] | None = None,
    names: Sequence[str] = (),
    held: Sequence[Sequence[int]] | None = None,
    seed: int,
    val: float = 0.16,
    test: float = 0.2,
) -> Split:
    """Split the rows.

    Args:
        strata: (rows,) int: what is kept in proportion, a class or a bin of a number.
        clusters: (rows,) the duplicate cluster of each row.
        groups: the group of each row; None is a group of its own.
        given: the given part of each row, 'train', 'val', 'test', or None or '' where none is given. Rows with a given
            part never move, and a second part beside train is the test part, whatever its name.
        keys: content keys, so that the split does not depend on the order of rows.
        names: the name of each stratum, for the notes.
        held: for each row, all the strata that it would have a place in, for the notes; its own alone without it.
        seed: decides every draw.
        val: share of the rows for validation, in [0, 1).
        test: share of the rows for the test, in [0, 1).

    Raises:
        DataError: no rows, or given parts without anything to train on.
    """
    strata = np.asarray(strata, dtype=np.int64)
    if not len(strata):
        raise DataError("there are no examples to split")
    together = Clusters(len(strata))
    if clusters is not None:
        together.join_equal(np.asarray(clusters).tolist())
    duplicates = together.labels()
    if groups is not None:
        together.join_equal(list(groups))
    units_of = together.labels()
    asked = read_given(given, units_of, duplicates, groups)
    pool = np.flatnonzero(asked.part == "")
    part = asked.part.copy()
    notes = [*asked.notes, *asked.shared]
    if len(pool):
        units = _units(strata[pool], units_of[pool], _identities(pool, keys, groups), seed)
        shares = {"test": test, "val": val} if "test" in asked.cut else {"val": val / (1 - test)}
        shares = {name: share for name, share in shares.items() if share > 0}
        part_of = _assign(units, shares)
        part[pool] = part_of[units.of_row]
        everything = strata[:, None].tolist() if held is None else held
        notes += _thin(units.of_row, part[pool], [everything[row] for row in pool.tolist()], list(shares), names)
        notes += _odd_sizes(part[pool], shares, units)
    rows = {name: np.flatnonzero(part == name) for name in ("train", "val", "test")}
    return Split(rows["train"], rows["val"], rows["test"], tuple(notes), asked.leaks, units_of)


def _identities(pool: np.ndarray, keys: Sequence[str | None] | None, groups: Sequence[object] | None) -> list[str]:
    """Return what a row's draw depends on: its group, else its content, else its row."""
    identities = []
    for row in pool.tolist():
        group = groups[row] if groups is not None else None
        key = keys[row] if keys is not None else None
        identities.append(f"group {group}" if group is not None else f"content {key}" if key else f"row {row:012d}")
    return identities


def _units(strata: np.ndarray, together: np.ndarray, identities: Sequence[str], seed: int) -> _Units:
    _, of_row = np.unique(together, return_inverse=True)
    units = int(of_row.max()) + 1
    identity: list[str | None] = [None] * units
    for unit, name in zip(of_row.tolist(), identities):
        identity[unit] = min(identity[unit] or name, name)
    draws = [draw_seed(seed, "split", _number(name or "")) for name in identity]
    held, counts = np.unique(np.stack([of_row, strata], axis=1), axis=0, return_counts=True)
    starts = np.searchsorted(held[:, 0], np.arange(1, units))
    return _Units(
        of_row,
        np.split(held[:, 1], starts),
        np.split(counts, starts),
        np.argsort(np.array(draws, np.int64), kind="stable"),
        np.bincount(strata),
    )


def _number(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _assign(units: _Units, shares: dict[str, float]) -> np.ndarray:
    """(units,) the part of each unit."""
    part_of = np.full(len(units.strata), "train", dtype="<U5")
    for part, share in shares.items():
        _fill(part_of, part, units, share * units.totals)
    holders: dict[int, list[int]] = {}
    for unit in units.order.tolist():
        for stratum in units.strata[unit].tolist():
            holders.setdefault(stratum, []).append(unit)
    held = {part: _held(part_of, part, units) for part in ("train", *shares)}
    for stratum in sorted(holders, key=lambda stratum: (len(holders[stratum]), stratum)):  # the rarest choose first
        _represent(stratum, holders[stratum], part_of, held, units)
    return part_of


def _fill(part_of: np.ndarray, part: str, units: _Units, wanted: np.ndarray) -> None:
    """Move units from train to `part` while that lowers the squared distance of its class counts from `wanted`."""
    missing = wanted.astype(float)
    for unit in units.order[part_of[units.order] == "train"].tolist():
        strata, count = units.strata[unit], units.counts[unit]
        if float((count * (2 * missing[strata] - count) / units.totals[strata]).sum()) > 0:
            part_of[unit] = part
            missing[strata] -= count


def _held(part_of: np.ndarray, part: str, units: _Units) -> np.ndarray:
    """(strata,) int: how many units of each stratum lie in a part."""
    inside = [units.strata[unit] for unit in np.flatnonzero(part_of == part)]
    return np.bincount(np.concatenate(inside) if inside else [], minlength=len(units.totals)).astype(np.int64)


def _represent(
    stratum: int, holders: Sequence[int], part_of: np.ndarray, held: dict[str, np.ndarray], units: _Units
) -> None:
    """See to it that a stratum is trained on, and lies in each other part if it has enough units."""
    for part in list(held)[: len(holders)]:
        if held[part][stratum]:
            continue
        # a unit may leave its part if every stratum that it holds stays there
        spare = [unit for unit in holders if (held[str(part_of[unit])][units.strata[unit]] > 1).all()]
        if not spare and part == "train":
            spare = list(holders[:1])
        if spare:
            unit = min(spare, key=lambda unit: int(units.counts[unit].sum()))
            held[str(part_of[unit])][units.strata[unit]] -= 1
            held[part][units.strata[unit]] += 1
            part_of[unit] = part


def _thin(
    units: np.ndarray, part: np.ndarray, held: Sequence[Sequence[int]], parts: Sequence[str], names: Sequence[str]
) -> list[str]:
    """A note on what fewer units (rows,) hold than there are parts, by all that each row holds."""
    owner = np.repeat(np.arange(len(held)), [len(some) for some in held])
    has = np.array([k for some in held for k in some], np.int64)
    independent = np.bincount(np.unique(np.stack([has, units[owner]]), axis=1)[0])
    found: dict[tuple[int, str], list[str]] = {}
    for number in range(1, len(parts) + 1):
        for k in np.flatnonzero(independent == number).tolist():
            inside = set(part[owner[has == k]].tolist())
            missing = " or ".join(name for name in ("train", *parts) if name not in inside)
            found.setdefault((number, missing), []).append(f"'{names[k]}'" if k < len(names) else f"stratum {k}")
    one, many = "a single independent example or group", "{} independent examples or groups"
    return [
        f"too few for every part, with {(one if number == 1 else many).format(number)} each, so not in {missing}: "
        + some(listed, 10)
        for (number, missing), listed in found.items()
    ]


def _odd_sizes(part: np.ndarray, shares: dict[str, float], units: _Units) -> list[str]:
    """A note on parts that came out far from the size that was asked for."""
    notes = []
    for name, share in shares.items():
        got = float((part == name).mean())
        if got and (abs(got - share) <= _ODD or len(part) < _FEW):
            continue
        why = _why_odd(units, abs(got - share) * len(part))
        if got:
            notes.append(f"the {name} part has {got:.0%} of the examples, not {share:.0%}{why}")
        else:
            notes.append(f"there are too few independent examples for a {name} part{why}")
    return notes


def _why_odd(units: _Units, missed: float) -> str:
    """The cause of a part that lacks so many examples or has them over: large units, or small strata."""
    largest = int(np.bincount(units.of_row).max())
    if largest > 1 and largest >= missed:
        return f": the largest group or set of copies has {largest} of the {len(units.of_row)} examples"
    present = units.totals[units.totals > 0]
    small = int((present < _SMALL).sum())
    if len(units.of_row) >= _FEW and units.totals[units.totals < _SMALL].sum() >= missed:
        return f": {small} of {len(present)} classes have fewer than {_SMALL} examples, too few for exact shares"
    return ""
