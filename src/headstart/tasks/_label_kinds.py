"""Kinds of label values, and the plain task that each suggests.

Labels arrive as Python values: text, true/false, whole numbers (1.0 counts as one), other numbers, or nothing at all
(None, NaN, blank text). Kinds are not mixed: where they are, the data, not the task, should be put right.
"""

from __future__ import annotations

import math
import numbers
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any
from unicodedata import normalize

from headstart.contracts.examples import Examples
from headstart.kernel.errors import DataError
from headstart.numerics.few_values import are_few

TARGET = "label"
"""The one target of a plain task."""


def kind_of(value: Any) -> str:
    """'missing', 'truth', 'whole', 'decimal', 'string' or 'other'."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return "missing"
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, str):
        return "string"
    if isinstance(value, numbers.Real):
        if math.isnan(value):
            return "missing"
        return "whole" if math.isfinite(value) and float(value).is_integer() else "decimal"
    return "other"


def label_kind(examples: Examples) -> str:
    """The one kind that all labels have, missing ones left out: 'truth', 'whole', 'decimal' or 'string'.

    Whole numbers among decimal ones are decimal.

    Raises:
        DataError: there is no label, or kinds are mixed, or the values are lists and the like.
    """
    values = examples.target(TARGET)
    first: dict[str, int] = {}
    for row, value in enumerate(values):
        first.setdefault(kind_of(value), row)
    first.pop("missing", None)
    if "decimal" in first:
        first.pop("whole", None)
    where = column_of(examples)
    if not first:
        raise DataError(f"{where}: no example has a label ({len(values)} rows)")
    if len(first) > 1:
        seen = ", ".join(f"{values[row]!r} in {examples.named([row])}" for row in sorted(first.values()))
        raise DataError(f"{where}: labels of different kinds are mixed: {seen}. Write all of them in one way.")
    kind, row = next(iter(first.items()))
    if kind == "other":
        raise DataError(
            f"{where}: {values[row]!r} in {examples.named([row])} is a {type(values[row]).__name__}; a label is a"
            " text, a number or true/false"
        )
    return kind


def require_labels(examples: Examples) -> None:
    """Refuse missing labels. Raises DataError with their number and the first origins."""
    missing = [row for row, value in enumerate(examples.target(TARGET)) if kind_of(value) == "missing"]
    if missing:
        raise DataError(
            f"{column_of(examples)}: {len(missing)} of {len(examples)} examples have no label (empty or NaN), first"
            f" {examples.named(missing)}. Fill them in or take these rows out."
        )


def class_reason(examples: Examples) -> str | None:
    """Why the labels name classes, in a few words; None when they are quantities."""
    kind = label_kind(examples)
    known = [value for value in examples.target(TARGET) if kind_of(value) != "missing"]
    distinct = len(set(known))
    if kind in ("string", "truth"):
        return f"the labels are {'texts' if kind == 'string' else 'true or false'} ({distinct} different ones)"
    if kind == "decimal" or not are_few(distinct, len(known)):
        return None
    return f"the labels are whole numbers with only {distinct} different values in {len(known)} rows"


def class_name(value: Any) -> str:
    """The name of a label's class: 'cat', '3' for 3 and 3.0, 'True'."""
    if kind_of(value) == "whole":
        return str(int(value))
    return str(value)


def class_names(examples: Examples) -> list[str | None]:
    """The name of each label's class, as the label is written; None where it is missing."""
    values, written = examples.target(TARGET), examples.schema.written
    names = values if written is None else examples.column(written)
    return [None if kind_of(value) == "missing" else class_name(name) for value, name in zip(values, names)]


def codes_of(names: Iterable[str], classes: Sequence[str]) -> dict[str, int]:
    """The number of each name's class, for the names that are known: as they are, or in another spelling that no second
    class has: 1.0 for 1, True for true, accents in their other form."""
    exact = {name: k for k, name in enumerate(classes)}
    spellings = Counter(map(_meaning, classes))
    alike = {_meaning(name): k for name, k in exact.items() if spellings[_meaning(name)] == 1}
    found = {name: exact.get(name, alike.get(_meaning(name))) for name in set(names)}
    return {name: code for name, code in found.items() if code is not None}


def _meaning(name: str) -> str:
    """The same for all ways to write a number, a truth value or an accent."""
    if name.lower() in ("true", "false"):
        return name.lower()
    return repr(float(name)) if re.fullmatch(r"[+-]?[0-9]{1,15}([.][0-9]*)?", name) else normalize("NFC", name)


def in_natural_order(names: Iterable[str]) -> tuple[str, ...]:
    """Each of the names once, by `natural_order`."""
    return tuple(sorted(set(names), key=natural_order))


def natural_order(name: str) -> tuple[list[tuple[int, float, str]], str]:
    """A key that sorts 'grade 2' before 'grade 10', and '-1' before '0'."""
    if re.fullmatch(r"-?[0-9]+([.][0-9]+)?", name):
        return [(0, float(name), "")], name
    parts = re.split(r"([0-9]+)", name)
    return [(0, float(part), "") if part[0] in "0123456789" else (1, 0.0, part) for part in parts if part], name


def column_of(examples: Examples) -> str:
    """Return the name of the label column for error messages."""
    return f"column '{examples.schema.targets[TARGET]}'"
