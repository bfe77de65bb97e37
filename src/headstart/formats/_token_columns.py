"""Words and tags as two columns of lists, as JSON Lines and data sets of named entities often hold them.

`{"tokens": ["Ann", "left"], "ner_tags": ["B-person", "O"]}`: the text is the words joined by single spaces, the tags
are read as in CoNLL files (`_tag_schemes.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from headstart.contracts.format import Columns
from headstart.formats._label_column import LabelColumn
from headstart.formats._label_lists import holds_records
from headstart.formats._label_texts import lists_in
from headstart.formats._rows import ORIGIN, is_list, is_text
from headstart.formats._span_values import SPANS, WORDS
from headstart.formats._tag_schemes import Tags, in_characters, places_of, read_spans
from headstart.kernel.errors import DataError

TEXT, PLACES = "text", "__words__"
"""The columns that are made: the words joined, and where each lies in the text."""

_TOKENS = ("tokens", "words")
_TAGS = ("ner_tags", "tags", "ner", "labels")


class TokenColumns(NamedTuple):
    """Which columns hold the words, and their tags where these are there."""

    tokens: str
    tags: str | None


def token_columns(table: pa.Table, columns: Columns) -> TokenColumns | None:
    """The columns that the user named, or else those of the usual names.

    None where no column holds lists of words, and where there is a text beside words without tags.
    """
    lists = {field.name: field.type.value_type for field in table.schema if is_list(field.type)}
    texts = [name for name, kind in lists.items() if is_text(kind)]
    tokens = next((name for name in (*columns.text, *_TOKENS) if name in texts), None)
    if tokens is None or columns.text not in ((), (tokens,), (TEXT,)):
        return None
    if columns.label is not None:
        tags = columns.label if columns.label in lists else None
    else:
        tags = next((name for name in _TAGS if name in lists and _go_together(table, tokens, name)), None)
    beside = tags is None and TEXT in table.column_names and columns.text != (tokens,)
    return None if beside else TokenColumns(tokens, tags)


def with_lists(table: pa.Table, columns: Columns, required: str | None = None) -> pa.Table:
    """The table with words and tags that are lists written as text, as in CSV files, as lists.

    Args:
        table: as it was read. columns: what the user named. required: a column that must hold such lists.

    Raises:
        DataError: some cells hold lists, and some do not; the row is named.
    """
    tokens = next((name for name in (*columns.text, *_TOKENS) if _is_texts(table, name)), None)
    words = None if tokens is None else _lists(table, tokens, required)
    if tokens is None or words is None:
        return table
    tags = next((name for name in (columns.label, *_TAGS) if _is_texts(table, name)), None)
    kinds = None if tags is None else _lists(table, tags, required)
    if tags is not None and kinds is not None:
        table = table.set_column(table.column_names.index(tags), tags, kinds)
    elif tokens not in _TOKENS and required is None:
        return table
    return table.set_column(table.column_names.index(tokens), tokens, words)


def _is_texts(table: pa.Table, name: str | None) -> bool:
    return name in table.column_names and is_text(table.schema.field(name).type)


def _lists(table: pa.Table, name: str, required: str | None) -> pa.Array | None:
    """The lists in a column of text; None where it holds none, or others than of words."""
    cells = [cell if cell and cell.strip() else None for cell in table.column(name).to_pylist()]
    origins = table.column(ORIGIN).to_pylist() if ORIGIN in table.column_names else range(table.num_rows)
    column = LabelColumn(name, cells, origins, True, "auto", "auto", [])
    try:
        lists = lists_in(column)
    except DataError:
        if name not in (*_TOKENS, *_TAGS, required):
            return None
        raise
    if lists is None and name == required and column.known():
        raise column.refusal(f"{column.first()} is not a list of words")
    return None if lists is None or holds_records(lists) else pa.array(lists.cells)


def named_besides(columns: Columns, present: Sequence[str]) -> Columns:
    """The columns without the text that was made of words in training, where a table has such words again."""
    made = columns.text == (TEXT,) and TEXT not in present and any(name in present for name in _TOKENS)
    return columns.model_copy(update={"text": ()}) if made else columns


def with_texts(table: pa.Table, tokens: str) -> pa.Table:
    """With the text of each row's words in place of these, and the places of the words. Raises DataError."""
    rows = [[str(word) for word in row or ()] for row in table.column(tokens).to_pylist()]
    for row, words in enumerate(rows):
        if any(not word.strip() or " " in word for word in words):
            raise DataError(f"{_origin(table, row)}, column '{tokens}': a word is empty or has a space in it")
    kept = table.drop_columns([name for name in (tokens, TEXT) if name in table.column_names])
    kept = kept.append_column(TEXT, pa.array([" ".join(words) for words in rows], pa.string()))
    return kept.append_column(PLACES, pa.array([places_of(words) for words in rows], WORDS))


def with_tag_spans(table: pa.Table, tags: str, notes: list[str]) -> pa.Table:
    """The tags of a table that `with_texts` made as spans of characters; in what scheme they were is said in `notes`.

    Raises:
        DataError: words and tags of different counts, tags that are numbers or follow no scheme; the row is named.
    """
    written = table.column(tags).to_pylist()
    places: list[list[dict[str, int]]] = table.column(PLACES).to_pylist()
    known = [row for row, values in enumerate(written) if values is not None]
    read = {row: _tags(written[row], len(places[row]), f"{_origin(table, row)}, column '{tags}'") for row in known}
    found, words = read_spans([*read.values()])
    by_row = dict(zip(read, found))
    spans = [in_characters(by_row[row], places[row]) if row in by_row else None for row in range(len(written))]
    notes.append(words)
    return table.set_column(table.column_names.index(tags), tags, pa.array(spans, SPANS))


def _tags(values: Sequence[Any], words: int, where: str) -> Tags:
    if len(values) != words:
        raise DataError(f"{where}: {words} words and {len(values)} tags. Every word needs its tag.")
    if not all(isinstance(value, str) and value for value in values):
        strange = next(value for value in values if not isinstance(value, str) or not value)
        raise DataError(f"{where}: {strange!r} is not a tag. Write tags as text, such as 'B-person', and 'O' for none.")
    return Tags(values, [f"{where}, word {number}" for number in range(1, words + 1)])


def _go_together(table: pa.Table, tokens: str, tags: str) -> bool:
    """Return whether most rows have a tag for each word: other lists beside words are labels of the whole."""
    same = pc.equal(pc.list_value_length(table.column(tokens)), pc.list_value_length(table.column(tags)))
    return 2 * (pc.sum(same).as_py() or 0) > table.num_rows


def _origin(table: pa.Table, row: int) -> str:
    return str(table.column(ORIGIN)[row].as_py())
