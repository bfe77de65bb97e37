"""Given splits: the rows they fix, the parts that are still to be cut, and the duplicates across them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart.kernel.errors import DataError


@dataclass(frozen=True)
class Given:
    """A given split, read."""

    part: np.ndarray
    """(rows,) 'train', 'val', 'test', or '' for rows that are to be split."""
    cut: tuple[str, ...]
    """The parts to be cut from the rows without one."""
    notes: tuple[str, ...] = ()
    """How it was read."""
    leaks: tuple[tuple[int, int], ...] = ()
    """(row outside train, row in train) that are duplicates."""
    shared: tuple[str, ...] = ()
    """A sentence on groups that lie in more than one part, if there are any."""


def read_given(
    given: Sequence[str | None] | None,
    together: np.ndarray,
    duplicates: np.ndarray,
    groups: Sequence[object] | None,
) -> Given:
    """Decide what is fixed.

    Args:
        given: part of each row, None or '' where none is given.
        together: (rows,) what must stay together, by group or duplicate cluster.
        duplicates: (rows,) the duplicate cluster of each row.
        groups: the group of each row.

    Raises:
        DataError: an unknown part, or nothing to train on.
    """
    part = np.array([value or "" for value in given] if given is not None else [""] * len(together), dtype="<U5")
    unknown = sorted({str(value) for value in given or () if value} - {"train", "val", "test"})
    if unknown:
        raise DataError(f"part '{unknown[0]}' is not known. Parts are 'train', 'val' and 'test'.")
    held_out = [name for name in ("val", "test") if (part == name).any()]
    if not held_out:
        note = ("only a train part is given: validation and test are cut from it",) if (part == "train").any() else ()
        return Given(np.full_like(part, ""), ("test", "val"), note)
    notes = _unnamed_follow(part, together)
    if not (part == "train").any():
        raise DataError(f"the data have the parts {' and '.join(held_out)} but no examples to train on")
    leaks = _leaks(part, duplicates)
    shared = _shared_groups(part, groups)
    if len(held_out) == 2:
        return Given(part, (), tuple(notes), leaks, shared)
    if held_out == ["val"]:
        part[part == "val"] = "test"
        notes.append("the given validation part serves as the test part, as there is no other")
    notes.append("validation is cut from the given train part")
    part[part == "train"] = ""
    return Given(part, ("val",), tuple(notes), leaks, shared)


def _unnamed_follow(part: np.ndarray, together: np.ndarray) -> list[str]:
    """Rows without a part join the held-out part that their group or duplicates lie in; the others train."""
    unnamed = np.flatnonzero(part == "")
    if not len(unnamed):
        return []
    held = {together[row]: part[row] for name in ("val", "test") for row in np.flatnonzero(part == name)}
    for row in unnamed:
        part[row] = held.get(together[row], "train")
    return [f"{len(unnamed)} examples name no part: they train, unless their group or a duplicate is held out"]


def _leaks(part: np.ndarray, duplicates: np.ndarray) -> tuple[tuple[int, int], ...]:
    trained: dict[int, int] = {}
    for row in np.flatnonzero(part == "train").tolist():
        trained.setdefault(int(duplicates[row]), row)
    outside = np.flatnonzero(part != "train").tolist()
    return tuple((row, trained[int(duplicates[row])]) for row in outside if int(duplicates[row]) in trained)


def _shared_groups(part: np.ndarray, groups: Sequence[object] | None) -> tuple[str, ...]:
    if groups is None:
        return ()
    pairs = {(group, name) for group, name in zip(groups, part.tolist()) if group is not None}
    sides = Counter(group for group, _ in pairs)
    shared = [group for group, number in sides.items() if number > 1]
    if not shared:
        return ()
    return (f"groups that lie in more than one given part and were not moved: {len(shared)}, such as '{shared[0]}'",)
