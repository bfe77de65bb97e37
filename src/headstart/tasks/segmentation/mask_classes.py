"""Meaning of mask values: class numbers, colours of a legend, or the numbers of single objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.task_capabilities import Choice
from headstart.kernel.errors import DataError, some
from headstart.media.masks import WHITE, Mask
from headstart.tasks.segmentation.mask_scan import Seen
from headstart.tasks.segmentation.mask_smoothing import smoothed

MOST_CLASSES = 255
"""A class map is written with one byte per pixel, and one value says that nothing is known."""

WHITEST = 255
"""The greatest value of 8 bits."""

MANY_VALUES = 20
"""Values in all masks from which numbers that run on from 1 in each mask are those of objects."""

BACKGROUND = "background"

OBJECTS = Choice(
    "values of the masks",
    "objects",
    "they count up from 1 in each mask: all but 0 is one class. --set task.instances=false makes each a class",
)
"""What is said where numbers of objects were seen in the values."""


COLOURS = Choice(
    "values of the masks",
    "colours",
    'each colour is a class. legend.json beside the masks names them: {"#ff0000": "cell"}',
)
"""What is said where classes are called as their colours."""


class Classes(NamedTuple):
    """The classes of masks."""

    names: tuple[str, ...]
    values: tuple[int, ...]
    """What stands for each class in a mask; empty where every value but 0 is the second class."""
    coloured: bool
    """Whether the values are colours."""
    ignored: tuple[int, ...] = ()
    """Values that stand for no class: nothing is known of such pixels."""

    @property
    def shown(self) -> list[int]:
        """The classes that count: all but the background."""
        return [k for k, name in enumerate(self.names) if name.lower() != BACKGROUND] or [*range(len(self.names))]

    def listed(self, present: Iterable[int]) -> str:
        """Name those of some classes that count: 'cell, nucleus'."""
        return ", ".join(self.names[k] for k in present if k in self.shown) or BACKGROUND


def understand(
    seen: Sequence[Seen],
    legend: Mapping[str, str],
    names: Sequence[str] = (),
    instances: bool | None = None,
    ignored: Sequence[int] = (),
) -> Classes:
    """The classes of some masks.

    Args:
        seen: the masks.
        legend: value or '#rrggbb' -> class name; empty where there is none.
        names: class names that the user gave, of the values 0, 1, 2, ... or of the values in the masks.
        instances: whether every value but 0 is an object of its own; None to see by the values.
        ignored: values of which nothing is known.

    Raises:
        DataError: a single class, more than 255, or names that do not go with the values.
    """
    coloured = any(mask.coloured for mask in seen) or any(key.startswith("#") for key in legend) or by_colour(seen)
    if coloured and legend and not any(key.startswith("#") for key in legend):
        _require_one_palette(seen)
    left_out = tuple(ignored)
    present = sorted({value for mask in seen for value in values_of(mask, coloured)} - set(left_out))
    if not present:
        raise DataError(f"every pixel of the {len(seen)} masks has a value that task.ignore leaves out")
    if legend:
        held = {_value(key): name for key, name in legend.items()}
        held = {value: name for value, name in held.items() if value not in left_out}
        _require_distinct(tuple(held.values()))
        return Classes(tuple(held.values()), tuple(held), coloured, left_out)
    if instances or (instances is None and not coloured and not names and _are_objects(seen, present)):
        return Classes(tuple(names) or (BACKGROUND, "foreground"), (), False, left_out)
    if instances is None and not names:
        _require_sharp(seen, coloured)
        _require_one_scale(seen, present)
    values = tuple(present)
    if names:
        if len(present) != len(names) and present[-1] < len(names):
            values = tuple(range(len(names)))
        if len(values) != len(names):
            raise DataError(
                f"{len(names)} class names are given ({', '.join(names)}), the masks hold {len(present)} values: "
                f"{_listed(present, coloured)}"
            )
    if len(present) < 2:
        raise DataError(
            f"every pixel of the {len(seen)} masks has the value {_listed(present, coloured)}: at least two classes are"
            " needed"
        )
    if len(present) > MOST_CLASSES:
        raise DataError(
            f"the masks hold {len(present)} different values, at most {MOST_CLASSES} classes are possible. If every "
            "value but 0 is an object of its own, give --set task.instances=true."
        )
    return Classes(tuple(names) or _names(present, coloured), values, coloured, left_out)


def as_written(classes: Classes, seen: Sequence[Seen], schema: Schema) -> Classes:
    """The classes of a run as other masks write them: by name, where the legend of these has one of the names."""
    ignored = (*classes.ignored, *schema.unknown)
    if classes.values and {classes.names[k] for k in classes.shown} & set(schema.legend.values()):
        there = understand(seen, schema.legend, ignored=ignored)
        value_of = dict(zip(there.names, there.values))
        values = tuple(value_of.get(name, -1 - k) for k, name in enumerate(classes.names))
        return Classes(classes.names, values, there.coloured, ignored)
    return classes._replace(ignored=ignored)


def values_of(mask: Seen, coloured: bool) -> tuple[int, ...]:
    """The values of a mask; their colours where masks are told apart by colours."""
    return mask.colours if coloured else mask.values


def by_colour(seen: Sequence[Seen]) -> bool:
    """Return whether palettes of masks differ, so that only the colours are the same in all of them."""
    if differing(seen):
        return True
    indexed = [mask for mask in seen if mask.indexed]
    greys = {value for mask in seen if not mask.indexed and not mask.coloured for value in mask.values}
    numbers = {value for mask in indexed for value in mask.values}
    shown = {colour for mask in indexed for colour in mask.colours}
    return bool(indexed) and not greys <= numbers and {value * WHITE for value in greys} <= shown


def differing(seen: Sequence[Seen]) -> str:
    """Where palettes differ, how: one number of two colours, or one colour of two numbers; '' where they agree.

    A palette with one colour for several numbers of a mask says nothing.
    """
    colours: dict[int, int] = {}
    numbers: dict[int, int] = {}
    for mask in seen:
        if not mask.indexed or len(set(mask.colours)) < len(mask.values):
            continue
        for number, colour in zip(mask.values, mask.colours):
            if colours.setdefault(number, colour) != colour:
                return f"{number} is #{colours[number]:06x} in one and #{colour:06x} in another"
            if numbers.setdefault(colour, number) != number:
                return f"#{colour:06x} is {numbers[colour]} in one and {number} in another"
    return ""


def require_known(seen: Sequence[Seen], classes: Classes, examples: Examples) -> None:
    """Refuse masks with values that stand for no class. Raises DataError with the values and some origins."""
    if not classes.coloured:
        _require_one_palette(seen)
    if not classes.values:
        return
    known = {*classes.values, *classes.ignored}
    strange = {row: set(values_of(mask, classes.coloured)) - known for row, mask in enumerate(seen)}
    rows = [row for row, values in strange.items() if values]
    if rows:
        found = sorted(set().union(*(strange[row] for row in rows)))
        raise DataError(
            f"{len(rows)} of {len(seen)} masks hold values that are not classes: {_listed(found, classes.coloured)} in "
            f"{examples.named(rows)}. The classes are "
            + ", ".join(f"{_listed([v], classes.coloured)} ({n})" for n, v in zip(classes.names, classes.values))
        )


def encoded(mask: Mask, classes: Classes) -> np.ndarray:
    """A mask (height, width) in class numbers, int64; what is not a class becomes `len(names)`."""
    return _numbers(mask.colours(mask.values) if classes.coloured else mask.values, classes)


def _numbers(values: np.ndarray, classes: Classes) -> np.ndarray:
    if not classes.values:
        return np.where(np.isin(values, classes.ignored), len(classes.names), values != 0).astype(np.int64)
    order = np.argsort(classes.values)
    ordered = np.array(classes.values, np.int64)[order]
    at = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return np.where((ordered[at] == values) & ~np.isin(values, classes.ignored), order[at], len(classes.names))


def pixels_of(mask: Seen, classes: Classes) -> np.ndarray:
    """Pixels of each class (classes,) in a mask."""
    values = np.array(values_of(mask, classes.coloured), np.int64)
    numbers, counts = _numbers(values, classes), [pixels for _, pixels in mask.counts]
    found = np.bincount(numbers, weights=counts, minlength=len(classes.names) + 1)
    return found[: len(classes.names)].astype(np.int64)


def present_in(mask: Seen, classes: Classes) -> tuple[int, ...]:
    """Return the classes that occur in a mask, ascending."""
    return tuple(np.flatnonzero(pixels_of(mask, classes)).tolist())


def _require_distinct(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"the legend calls several values '{twice[0]}': give each class a name of its own")


def _require_one_palette(seen: Sequence[Seen]) -> None:
    if how := differing(seen):
        raise DataError(
            f"the palettes of the masks differ: {how}; so the numbers do not tell the classes. Name colours in "
            'legend.json ({"#ff0000": "cell"}), or save the masks without palettes'
        )


def _require_sharp(seen: Sequence[Seen], coloured: bool) -> None:
    """Refuse masks most of whose values smoothing made. Raises DataError."""
    counts = [[pixels for _, pixels in mask.counts] for mask in seen]
    made = smoothed([(values_of(mask, coloured), some, mask.between) for mask, some in zip(seen, counts)])
    if made:
        raise DataError(
            f"the masks look smoothed, as resizing or JPEG leaves them: {len(made)} of their values, such as "
            f"{_listed(made[:3], coloured)}, occur only between others. Write them anew, resized by the nearest pixel; "
            "of two classes, --set format.threshold=128 takes values from 128 on for the second. If each value is a "
            "class: --set task.instances=false; if each but 0 is an object: --set task.instances=true"
        )


def _require_one_scale(seen: Sequence[Seen], present: Sequence[int]) -> None:
    """Refuse masks of which some have 0 and 1, others 0 and 255, which may be the same class. Raises DataError."""
    of_each = [sum(value in mask.values for mask in seen) for value in (1, WHITEST)]
    if list(present) == [0, 1, WHITEST] and not any({1, WHITEST} <= {*mask.values} for mask in seen):
        raise DataError(
            f"{of_each[0]} masks have the values 0 and 1, {of_each[1]} have 0 and {WHITEST}, and none has 1 and "
            f"{WHITEST}. If both are the same class: --set format.threshold=1; if each is its own: "
            f"--set task.instances=false; if {WHITEST} says that nothing is known: --set task.ignore=[{WHITEST}]"
        )


def _are_objects(seen: Sequence[Seen], present: Sequence[int]) -> bool:
    if len(present) <= MANY_VALUES:
        return False
    # masks that were smoothed may hold all values of 8 bits
    runs = [mask.values[-1] == len(mask.values) - (mask.values[0] == 0) < MOST_CLASSES for mask in seen]
    return sum(runs) >= 0.9 * len(runs)


def _value(key: str) -> int:
    try:
        return int(key[1:], 16) if key.startswith("#") else int(key)
    except ValueError:
        raise DataError(f"the legend's value {key!r} is neither a whole number nor a colour such as #ff0000") from None


def _names(values: Sequence[int], coloured: bool) -> tuple[str, ...]:
    if coloured:
        return tuple(BACKGROUND if value == 0 else f"#{value:06x}" for value in values)
    if len(values) == 2 and values[0] == 0:
        return BACKGROUND, "foreground"
    return tuple(BACKGROUND if value == 0 else f"class {value}" for value in values)


def _listed(values: Sequence[int], coloured: bool) -> str:
    shown = [f"#{value:06x}" if coloured else str(value) for value in values]
    return some(shown, 8)
