"""Tables: CSV, TSV, Parquet, JSON Lines, pandas frames, Hugging Face datasets; also one each for train, val and test.

An example is a text, a pair of texts, an image path or encoded image, or a row of numbers. The labels of a text may be
spans of its characters, or tags of its words; those of anything may be sets: lists, names with a separator between
them, or columns of 0, 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.format import Columns
from headstart.formats._coco_files import coco_files
from headstart.formats._column_guess import Roles, named_columns, recognise
from headstart.formats._column_values import with_inputs, with_label, with_parts, without_unlabelled_parts
from headstart.formats._label_columns import with_label_columns
from headstart.formats._parts import PART_COLUMN
from headstart.formats._rows import ORIGIN
from headstart.formats._span_values import holds_spans, with_spans
from headstart.formats._table_sources import TablePart, find_tables, in_words, read_tables, refuse_twins
from headstart.formats._token_columns import PLACES, TEXT, named_besides, token_columns, with_tag_spans, with_texts
from headstart.kernel.errors import DataError
from headstart.kernel.settings import Settings

_LOOK_AT = 1000
"""Rows from which a stream's columns are recognised."""


class Table(Settings):
    """Tables on disk or in memory."""

    @classmethod
    def recognises(cls, source: Any) -> str | None:
        """Which tables with which columns."""
        if coco_files(source):  # its annotations are no rows of a table
            return None
        try:
            tables = find_tables(source)
            return in_words(tables) if tables else None
        except DataError as error:
            return f"a table or tables: {error}"

    def read(self, source: Any, columns: Columns, *, labelled: bool = True) -> Examples:
        """One row per row of the table, or of the tables one after the other: train, val, test.

        Raises:
            DataError: columns that are missing or ambiguous, a label of mixed kinds, or a table that cannot be read.
        """
        tables = _tables(source)
        root = tables[0].source.root
        present = list(dict.fromkeys(name for table in tables for name in table.source.names()))
        columns = named_columns(named_besides(columns, present), present, labelled=labelled)
        table = read_tables(tables, _as_text(columns))
        notes = [note for part in tables for note in part.source.notes]
        lists = token_columns(table, columns)
        if lists is not None:
            table, columns = with_texts(table, lists.tokens), columns.model_copy(update={"text": (TEXT,)})
            if lists.tags is not None:
                columns = columns.model_copy(update={"label": lists.tags})
        if columns.labels:
            table = without_unlabelled_parts(table, columns.labels[0], tables, notes)
            table, columns = with_label_columns(table, columns, notes)
        roles, target = recognise(table, columns, root, labelled=labelled), "label"
        if labelled and roles.label is not None:
            if roles.label in present:
                table = without_unlabelled_parts(table, roles.label, tables, notes)
            table = with_label(table, roles.label)
            if lists is not None and lists.tags is not None:
                table, target = with_tag_spans(table, lists.tags, notes), "spans"
            elif roles.inputs.type == pa.string() and holds_spans(table.column(roles.label)):
                table = with_spans(with_inputs(table, roles), roles.label, roles.inputs.columns, notes)
                target = "spans"
        if roles.part is not None:
            table = with_parts(table, roles.part, strict=labelled)
        schema = _schema(roles, root, target, PLACES if lists is not None else None)
        return Examples(with_inputs(table, roles), schema, (*notes, *roles.inputs.notes))

    def stream(self, source: Any, columns: Columns, rows: int) -> Iterator[Examples]:
        """The inputs alone, in the same order, at most `rows` at a time."""
        for part in _tables(source):
            table = part.source
            present = table.names()
            refuse_twins(present, table.words)
            named = named_columns(named_besides(columns, present), present, labelled=False)
            head = table.head(_LOOK_AT)
            lists = token_columns(head, named)
            if lists is not None:
                schema = Schema(modality="text", inputs=(TEXT,), words=PLACES, origin=ORIGIN, root=table.root)
                for chunk in table.chunks({lists.tokens: pa.list_(pa.string())}, rows):
                    yield Examples(with_texts(chunk, lists.tokens), schema)
                continue
            roles = recognise(head, named, table.root, labelled=False)
            inputs = roles.inputs
            schema = Schema(modality=inputs.modality, inputs=inputs.columns, origin=ORIGIN, root=table.root)
            for chunk in table.chunks(dict.fromkeys(inputs.columns, inputs.type or pa.string()), rows):
                for start in range(0, chunk.num_rows, rows):
                    yield Examples(with_inputs(chunk.slice(start, rows), roles), schema)


def _schema(roles: Roles, root: str, target: str, words: str | None) -> Schema:
    return Schema(
        modality=roles.inputs.modality,
        inputs=roles.inputs.columns,
        targets={target: roles.label} if roles.label is not None else {},
        words=words,
        group=roles.group,
        domain=roles.domain,
        slices=roles.slices,
        part=PART_COLUMN if roles.part is not None else None,
        origin=ORIGIN,
        root=root,
    )


def _tables(source: Any) -> list[TablePart]:
    tables = find_tables(source)
    if not tables:
        raise DataError(f"{source} is no table: expected .csv, .tsv, .parquet, .jsonl, a frame or a data set")
    return tables


def _as_text(columns: Columns) -> frozenset[str]:
    """Columns whose values are names or prose even where they look like numbers."""
    named = [*columns.text, *columns.slices, columns.image, columns.group, columns.domain, columns.part]
    return frozenset(name for name in named if name is not None)
