"""A label column of character spans in a text, as tables hold it: lists of records or of triples, or either as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import pyarrow as pa

from headstart.formats._rows import ORIGIN, is_text
from headstart.kernel.documents import parse_json
from headstart.kernel.errors import DataError
from headstart.media.words import covered_words, words_of

SPANS = pa.list_(pa.struct({"start": pa.int64(), "end": pa.int64(), "label": pa.string()}))
"""The form in which spans reach the rest of the house: characters from `start` to before `end`, in order."""

WORDS = pa.list_(pa.struct({"start": pa.int64(), "end": pa.int64()}))
"""The places of given words."""

_STARTS, _ENDS, _LABELS = ("start", "start_offset"), ("end", "end_offset"), ("label", "type", "entity")
_EXPECTED = 'Expected [{"start": 0, "end": 5, "label": "person"}, ...] or [[0, 5, "person"], ...], [] for none.'


class _Span(NamedTuple):
    start: int
    end: int
    label: str


def holds_spans(column: pa.ChunkedArray) -> bool:
    """Return whether a column holds lists, or text whose every value begins like a list of JSON; but lists of names are
    sets of labels."""
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return not _are_names(column.to_pylist())
    if not is_text(column.type):
        return False
    written = [value for value in column.to_pylist() if value is not None and value.strip()]
    if not (written and all(value.lstrip().startswith("[") for value in written)):
        return False
    lists = [found for found in map(_list_in, written) if found is not None]
    return bool(lists) and not _are_names(lists)


def with_spans(table: pa.Table, label: str, inputs: Sequence[str], notes: list[str]) -> pa.Table:
    """The label column in the form of `SPANS`; what was widened to whole words is said in `notes`.

    Raises:
        DataError: there are two texts, a value is no list of spans, or a span lies outside its text, covers no word or
            overlaps another; the row is named.
    """
    if len(inputs) != 1:
        raise DataError(f"column '{label}' holds spans: they lie in one text, not in {' and '.join(inputs)}")
    origins = table.column(ORIGIN).to_pylist()
    texts = table.column(inputs[0]).to_pylist()
    found: list[list[dict[str, Any]] | None] = []
    widened = 0
    for value, content, origin in zip(table.column(label).to_pylist(), texts, origins):
        if value is None or (isinstance(value, str) and not value.strip()):
            found.append(None)
            continue
        where = f"{origin}, column '{label}'"
        spans = sorted(_spans(value, where))
        widened += _checked(spans, content or "", where)
        found.append([span._asdict() for span in spans])
    if widened:
        total = sum(len(spans) for spans in found if spans)
        notes.append(f"{widened} of {total} spans begin or end inside a word and are taken to its ends")
    return table.set_column(table.column_names.index(label), label, pa.array(found, SPANS))


def _spans(value: Any, where: str) -> list[_Span]:
    if isinstance(value, str):
        try:
            value = parse_json(value)
        except ValueError as error:
            raise DataError(f"{where}: {value[:60]!r} cannot be read as JSON: {error}. {_EXPECTED}") from error
    if not isinstance(value, list):
        raise DataError(f"{where}: {value!r} is no list of spans. {_EXPECTED}")
    return [_span(item, where) for item in value]


def _span(item: Any, where: str) -> _Span:
    if isinstance(item, Mapping):
        parts: Sequence[Any] = [_first(item, names) for names in (_STARTS, _ENDS, _LABELS)]
    else:
        parts = item if isinstance(item, (list, tuple)) else ()
    whole = len(parts) == 3 and all(isinstance(part, int) and not isinstance(part, bool) for part in parts[:2])
    if not whole or not isinstance(parts[2], str) or not parts[2].strip():
        raise DataError(f"{where}: {item!r} is no span. {_EXPECTED}")
    return _Span(*parts)


def _first(record: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((record[name] for name in names if record.get(name) is not None), None)


def _checked(spans: Sequence[_Span], text: str, where: str) -> int:
    """How many spans begin or end inside a word."""
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


def _list_in(value: str) -> list[Any] | None:
    try:
        found = parse_json(value)
    except ValueError:
        return None
    return found if isinstance(found, list) else None


def _are_names(lists: Sequence[list[Any] | None]) -> bool:
    """Whether lists hold texts or numbers alone, and one of them any."""
    items = [item for found in lists for item in found or ()]
    return bool(items) and all(isinstance(item, (str, int)) for item in items)
