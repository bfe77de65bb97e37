"""A label column of character spans in a text: lists of records or of triples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import pyarrow as pa

from headstart.formats._label_column import LabelColumn
from headstart.kernel.errors import DataError
from headstart.kernel.spelling import one_spelling
from headstart.media.words import covered_words, words_of

SPANS = pa.list_(pa.struct({"start": pa.int64(), "end": pa.int64(), "label": pa.string()}))
"""The form in which spans reach the rest of the house: characters from `start` to before `end`, in order."""

WORDS = pa.list_(pa.struct({"start": pa.int64(), "end": pa.int64()}))
"""The places of given words."""

_STARTS, _ENDS, _LABELS = ("start", "start_offset"), ("end", "end_offset"), ("label", "type", "entity", "labels")
_EXPECTED = 'Expected [{"start": 0, "end": 5, "label": "person"}, ...] or [[0, 5, "person"], ...], [] for none.'


class _Span(NamedTuple):
    start: int
    end: int
    label: str


def with_spans(table: pa.Table, column: LabelColumn, inputs: Sequence[str]) -> pa.Table:
    """The label column in the form of `SPANS`; what was widened to whole words is noted.

    Args:
        table: with texts as they are read. column: lists of records or triples. inputs: the columns of text.

    Raises:
        DataError: there are two texts or none, a value is not a list of spans, or a span lies outside its text, covers
            no word or overlaps another; the row is named.
    """
    if len(inputs) != 1:
        held = " and ".join(inputs) or "inputs that are not text"
        raise DataError(f"column '{column.name}' holds spans: they lie in one text, not in {held}")
    texts = table.column(inputs[0]).to_pylist()
    found: list[list[dict[str, Any]] | None] = []
    widened = 0
    for cell, content, origin in zip(column.cells, texts, column.origins):
        if cell is None:
            found.append(None)
            continue
        where = f"{origin}, column '{column.name}'"
        spans = sorted(_span(item, where) for item in _listed(cell))
        widened += _checked(spans, content or "", where)
        found.append([span._asdict() for span in spans])
    every = [span for spans in found for span in spans or ()]
    if widened:
        column.notes.append(f"{widened} of {len(every)} spans begin or end inside a word and are taken to its ends")
    called = one_spelling(span["label"] for span in every)
    for span in every:
        span["label"] = called.get(span["label"], span["label"])
    return table.set_column(table.column_names.index(column.name), column.name, pa.array(found, SPANS))


def _listed(cell: Any) -> list[Any]:
    """The spans of a cell: a list, spaCy's record of one, a record of columns, or a span by itself."""
    if not isinstance(cell, Mapping):
        return list(cell)
    inner = cell.get("entities", cell)
    if not isinstance(inner, Mapping):
        return list(inner)
    if all(isinstance(values, list) for values in cell.values()):
        return [dict(zip(cell, values)) for values in zip(*cell.values())]
    return [cell]


def _span(item: Any, where: str) -> _Span:
    if isinstance(item, Mapping):
        parts: Sequence[Any] = [_first(item, names) for names in (_STARTS, _ENDS, _LABELS)]
        if isinstance(parts[2], list) and len(parts[2]) == 1:  # as Label Studio writes them
            parts = [*parts[:2], parts[2][0]]
    else:
        parts = item if isinstance(item, (list, tuple)) else ()
    whole = len(parts) == 3 and all(isinstance(part, int) and not isinstance(part, bool) for part in parts[:2])
    if not whole or not isinstance(parts[2], str) or not parts[2].strip():
        raise DataError(f"{where}: {item!r} is not a span. {_EXPECTED}")
    return _Span(*parts)


def _first(record: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((record[name] for name in names if record.get(name) is not None), None)


def _checked(spans: Sequence[_Span], text: str, where: str) -> int:
    """Return how many spans begin or end inside a word."""
    for span in spans:
        if not 0 <= span.start < span.end <= len(text):
            raise DataError(f"{where}: {_shown(span)} lies outside its text of {len(text)} characters, or is empty")
    for one, other in pairwise(spans):
        if other.start < one.end:
            raise DataError(
                f"{where}: {_shown(one)} and {_shown(other)} overlap. A word has one label: keep one of the two."
            )
    covered = covered_words(words_of(text), [(span.start, span.end) for span in spans])
    for span, words in zip(spans, covered):
        if words is None:
            raise DataError(
                f"{where}: {_shown(span)}, {text[span.start : span.end]!r}, has no word of its own: it holds none, or "
                "lies in a word of the span before it"
            )
    return sum(words is not None and not words.exact for words in covered)


def _shown(span: _Span) -> str:
    return f"'{span.label}' {span.start}-{span.end}"
