"""Kinds of columns, as far as recognising inputs needs them, and the list of columns that errors show."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pyarrow as pa
import pyarrow.compute as pc

from headstart.formats._numerals import DecimalSign, is_no_value, is_plain, number_in, signs_of
from headstart.formats._rows import is_text
from headstart.media.images import SUFFIXES

_SAMPLE = 50
_PROSE_WORDS = 3.0
"""Mean words per value from which a column of strings is taken for running text."""
_LISTED = 50
"""Columns that errors show."""
_ID_NAMES = frozenset({"", "id", "ids", "idx", "index", "uuid", "guid", "row", "row_id", "rowid", "unnamed: 0", "key"})


def is_numeric(kind: pa.DataType) -> bool:
    """Numbers and yes/no."""
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind))


def fault_of_numbers(column: pa.ChunkedArray, decimal: DecimalSign) -> str | None:
    """Why the numbers in a column of text cannot be read, '' where they can; None where most cells are not numbers."""
    if not any(signs_of(value) for value in sample(column)):
        return None
    counts = Counter(cell for cell in column.to_pylist() if cell and cell.strip() and not is_no_value(cell))
    signs = {cell: signs_of(cell) for cell in counts}
    numeric, total = sum(counts[cell] for cell in counts if signs[cell]), counts.total()
    strange = [cell for cell in counts if not signs[cell]]
    if 2 * numeric < total or all(map(is_plain, counts)):  # plain ones are text where a type says so
        return None
    if strange:
        return f"{numeric} of {total} cells are numbers, {total - numeric} are not, such as {strange[0]!r}"
    unread = [cell for cell in counts if number_in(cell, decimal) is None]
    if not unread:
        return ""
    fitting = sorted(set.intersection(*signs.values()))
    how = " or ".join(f"--set format.decimal={sign}" for sign in fitting)
    said = f"; {how} reads them" if how else ", others with the other decimal sign"
    return f"its cells are numbers such as {unread[0]!r}{said}"


def sample(column: pa.ChunkedArray) -> list[Any]:
    """The first values that are there."""
    return [value for value in column.slice(0, 20 * _SAMPLE).to_pylist() if value not in (None, "")][:_SAMPLE]


def holds_images(column: pa.ChunkedArray, root: str) -> bool:
    """Encoded images, or paths of images that exist below `root`."""
    if pa.types.is_struct(column.type):
        return {field.name for field in column.type} == {"bytes", "path"}
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return True
    values = sample(column) if is_text(column.type) else []
    return looks_like_paths(column) and all(_exists(root, value) for value in values)


def looks_like_paths(column: pa.ChunkedArray) -> bool:
    """Return whether all values end as image files do."""
    values = sample(column) if is_text(column.type) else []
    return bool(values) and all(Path(value).suffix.lower() in SUFFIXES for value in values)


def is_prose(column: pa.ChunkedArray) -> bool:
    """Strings of several words on average."""
    if not is_text(column.type):
        return False
    return mean_words(column) >= _PROSE_WORDS


def mean_words(column: pa.ChunkedArray) -> float:
    """Mean number of words of the first values; 0 without any."""
    values = sample(column)
    return sum(len(value.split()) for value in values) / len(values) if values else 0.0


def mean_length(column: pa.ChunkedArray) -> float:
    """Mean number of characters."""
    return float(pc.mean(pc.utf8_length(column)).as_py() or 0.0)


def is_identifier(name: str, column: pa.ChunkedArray) -> bool:
    """A running number, or a column that its name calls one."""
    lower = name.strip().lower()
    if lower in _ID_NAMES:
        return True
    if not (pa.types.is_integer(column.type) and lower.endswith("id")):
        return False
    return bool(pc.count_distinct(column).as_py() == len(column))


def listing(table: pa.Table, root: str) -> str:
    """A line per column of the user: name, kind and an example; of many, of the first."""
    lines, names = [], [name for name in table.column_names if not name.startswith("__")]
    for name in names[:_LISTED]:
        column = table.column(name)
        example = next(iter(sample(column)), None)
        shown = "always empty" if example is None else f"for example {_short(example)}"
        lines.append(f"  {name}: {_kind(column, root)}, {shown}")
    lines += [f"  and {len(names) - _LISTED} more"] if len(names) > _LISTED else []
    return "\n".join(lines)


def _kind(column: pa.ChunkedArray, root: str) -> str:
    if holds_images(column, root):
        return "image"
    if pa.types.is_boolean(column.type):
        return "yes/no"
    if is_numeric(column.type):
        return "number"
    if looks_like_paths(column):
        missing = next((value for value in sample(column) if not _exists(root, value)), "")
        return f"image path, but '{missing}' does not exist below {root or 'the current folder'}"
    return "text" if is_text(column.type) else str(column.type)


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def as_on_disk(root: str, path: str) -> str:
    """The path as it is spelt below `root`, where accents may have the other of their two forms; itself elsewhere."""
    if path.isascii() or os.path.exists(os.path.join(root, path)):
        return path
    found = ""
    for part in Path(path).parts:
        forms = [os.path.join(found, form) for form in (part, normalize("NFC", part), normalize("NFD", part))]
        found = next((form for form in forms if os.path.exists(os.path.join(root, form))), "")
        if not found:
            return path
    return found


def _exists(root: str, value: str) -> bool:
    try:
        path = Path(root, as_on_disk(root, value))
        return path.exists() and not path.is_dir()
    except (OSError, ValueError):
        return False
