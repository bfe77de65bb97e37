"""Label sets: cells that name any number of labels, none included.

A cell is a list of names, or names with a separator between them ('a|b'). Where cells are lists, an empty one is [] and
a missing one is a fault; where a separator is used, an empty cell is the only way to say that there is no label.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from headstart.contracts.examples import Examples
from headstart.kernel.errors import DataError
from headstart.tasks._label_kinds import TARGET, class_name, column_of, kind_of, require_labels

LISTS = "lists"
"""The form of cells that are lists, or JSON of lists."""

SEPARATORS = ("|", ";", ",", "\t")
"""What may stand between names that are written."""


def form_of(examples: Examples) -> str | None:
    """Return how the labels name sets: `LISTS`, or the separator between names; None where each cell is one label."""
    if TARGET not in examples.schema.targets:
        return None
    kind = examples.table.schema.field(examples.schema.targets[TARGET]).type
    return LISTS if pa.types.is_list(kind) or pa.types.is_large_list(kind) else examples.schema.separator or None


def label_sets(examples: Examples, separator: str) -> list[tuple[str, ...]]:
    """The names in each cell, each once, in the order written; `separator` is '' where a text cell is one name.

    Raises:
        DataError: a cell is missing where cells are lists, or a list holds something that is not a name.
    """
    if form_of(examples) == LISTS:
        require_labels(examples)
    return [_names(value, separator, examples, row) for row, value in enumerate(examples.target(TARGET))]


def joining(names: Sequence[str]) -> str:
    """A separator that no name contains, for writing sets. Raises DataError when there is none."""
    for separator in SEPARATORS:
        if not any(separator in name for name in names):
            return separator
    raise DataError(f"the label names contain every separator that could stand between them: {', '.join(names[:10])}")


def _names(value: Any, separator: str, examples: Examples, row: int) -> tuple[str, ...]:
    if kind_of(value) == "missing":
        return ()
    parts = value
    if not isinstance(value, list):
        parts = value.split(separator) if separator and isinstance(value, str) else [value]
    parts = [part for part in parts if kind_of(part) != "missing"]
    strange = [part for part in parts if kind_of(part) not in ("string", "whole", "truth")]
    if strange:
        raise DataError(
            f"{column_of(examples)}: {strange[0]!r} in {examples.named([row])} is not a label name; expected"
            ' a list of names, such as ["red", "round"], [] for none'
        )
    return tuple(dict.fromkeys(class_name(part).strip() for part in parts))
