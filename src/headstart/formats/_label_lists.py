"""Lists as labels: sets of names or of class numbers, vectors of 0 and 1 that say which labels are there, spans."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pyarrow as pa

from headstart.formats._label_column import LabelColumn, Labels, name_of
from headstart.kernel.spelling import one_spelling


def holds_records(column: LabelColumn) -> bool:
    """Return whether the cells hold records or lists in lists, as spans are written."""
    return any(isinstance(cell, dict) or any(isinstance(one, (list, dict)) for one in cell) for cell in column.known())


def read_lists(column: LabelColumn) -> Labels:
    """Read a column of lists of names or numbers. Raises DataError."""
    cells = [None if cell is None else _without_gaps(column, row, cell) for row, cell in enumerate(column.cells)]
    negative = sum(new is None and old is not None for old, new in zip(column.cells, cells))
    if negative:
        column.say(f"{negative} lists hold only negative class numbers, which are not labels")
    dropped = sum(len(old) - len(new) for old, new in zip(column.cells, cells) if old and new is not None)
    if dropped:
        column.say(f"{dropped} empty items of lists were left out")
    column = replace(column, cells=cells)
    items = [item for cell in column.known() for item in cell]
    if items and not any(isinstance(item, str) for item in items):
        places = _places(column)
        if places is not None:
            return places
    column.say(f"{len(column.known())} of {len(cells)} cells are lists, read as sets of labels")
    sets = [None if cell is None else [name_of(item) for item in cell] for cell in cells]
    called = one_spelling(name for some in sets for name in some or ())
    sets = [None if some is None else [called.get(name, name) for name in some] for some in sets]
    return Labels(pa.array(sets, pa.list_(pa.string())), form="sets")


def _without_gaps(column: LabelColumn, row: int, cell: list[Any]) -> list[Any] | None:
    """A list without its empty items. One of negative class numbers alone is no label.

    Raises:
        DataError: a negative class number stands beside others, or an item is neither a name nor a whole number.
    """
    items = [item for item in cell if item is not None and item == item and str(item).strip()]
    strange = next((item for item in items if not isinstance(item, (str, int)) and not _is_whole(item)), None)
    if strange is not None:
        raise column.refusal(f"{strange!r} in {column.shown(row)} is not a label: expected names or whole numbers")
    negative = [item for item in items if not isinstance(item, str) and item < 0]
    if negative and len(negative) == len(items):
        return None
    if negative:
        raise column.refusal(
            f"{negative[0]} in {column.shown(row)} is not a class number: they start at 0. Take it out, or leave the "
            "cell empty where no label is known."
        )
    return items


def _is_whole(item: Any) -> bool:
    return isinstance(item, float) and item.is_integer()


def _places(column: LabelColumn) -> Labels | None:
    """Vectors of 0 and 1, a label by place; None for sets of class numbers.

    Raises:
        DataError: the lists could be both, or are neither.
    """
    vectors = [cell for cell in column.known() if cell]
    (width, most), *others = Counter(map(len, vectors)).most_common()
    binary = all(item in (0, 1) for cell in vectors for item in cell)
    certain = any(isinstance(item, bool) or len(set(cell)) < len(cell) for cell in vectors for item in cell)
    if column.form == "vectors" and not binary:
        odd = column.first(lambda cell: any(item not in (0, 1) for item in cell))
        raise column.refusal(f"--set format.labels=vectors asks for 0 and 1 alone, unlike {odd}")
    likely = binary and (width > 1 or column.form == "vectors")
    if column.form == "sets" or not (likely or (certain and not others and width > 1)):
        return None
    if not (binary and (certain or column.form == "vectors")):
        raise column.refusal(
            f"{most} of {len(vectors)} cells are lists of {width} numbers, such as {column.first(bool)}: sets of class "
            "numbers or, with 0 and 1 alone, a number for each label? Say which with --set format.labels=sets or "
            "--set format.labels=vectors."
        )
    if others:
        odd = column.first(lambda cell: len(cell) != width)
        raise column.refusal(f"{most} of {len(vectors)} cells are vectors of {width} numbers 0 and 1, but not {odd}")
    return _by_place(column, width)


def _by_place(column: LabelColumn, width: int) -> Labels:
    sets = [None if cell is None else [str(k) for k, held in enumerate(cell) if held] for cell in column.cells]
    found = f"{len(column.known())} of {len(sets)} cells are vectors of {width} numbers 0 and 1"
    if all(some is None or len(some) == 1 for some in sets):
        column.say(f"{found} with one 1 each, read as the classes '0' to '{width - 1}' by its place")
        return Labels(pa.array([some and some[0] for some in sets], pa.string()), form="vectors")
    column.say(
        f"{found}, read as the labels '0' to '{width - 1}' by place (--set format.labels=sets: as class numbers)"
    )
    return Labels(pa.array(sets, pa.list_(pa.string())), form="vectors")
