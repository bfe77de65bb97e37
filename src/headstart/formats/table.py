"""Tables: text files, workbooks, databases, Parquet and Arrow, frames and data sets; also one for each part of a split.

An example is a text, a pair of texts, the path of an image or a sound, or one of these encoded, or a row of numbers.
The labels of a text may be spans of its characters, or tags of its words; those of a sound the words that are said in
it; those of anything may be sets: lists, names with a separator between them, or columns of 0, 1. What the cells of the
label column are is decided once for all of them (`_label_texts.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import BeforeValidator

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.format import Columns
from headstart.contracts.modality import InFiles, modality_named
from headstart.formats._box_annotations import annotated
from headstart.formats._column_guess import Inputs, Roles, label_candidates, named_columns, recognise, sole_label
from headstart.formats._column_values import require_inputs, with_inputs, with_parts, without_unlabelled_parts
from headstart.formats._conll_files import find_files
from headstart.formats._csv import CsvFile
from headstart.formats._frame_labels import labels_videos
from headstart.formats._label_column import LabelForm
from headstart.formats._label_columns import LabelReading, ReadLabels, with_label_columns, with_labels
from headstart.formats._label_records import columns_of, each_a_task, known_labels, with_each_label, with_records
from headstart.formats._numerals import DecimalSign
from headstart.formats._parts import PART_COLUMN, others_in
from headstart.formats._record_tables import LINE, Lines
from headstart.formats._row_names import id_column, with_names
from headstart.formats._rows import ORIGIN, is_text
from headstart.formats._sound_columns import TRANSCRIPT, transcript_column, with_transcripts
from headstart.formats._stored_file import SeveralTables
from headstart.formats._table_memory import ArrowRows
from headstart.formats._table_part import TablePart, refuse_twins
from headstart.formats._table_sources import find_tables, in_nfc, in_words, read_tables
from headstart.formats._token_columns import (
    PLACES,
    TEXT,
    named_besides,
    token_columns,
    with_lists,
    with_tag_spans,
    with_texts,
)
from headstart.kernel.errors import DataError
from headstart.kernel.settings import Settings
from headstart.kernel.spelling import nfc

_FEW = 20
"""Columns below which one may be the label for the reason that no other could be."""
_LOOK_AT = 1000
"""Rows from which a stream's columns are recognised."""


class Table(Settings):
    """Tables on disk or in memory."""

    table: Annotated[str | None, BeforeValidator(lambda name: name if name is None else str(name))] = None
    """The sheet of a workbook, the table of a database or the file of a zip archive that is meant, where there are
    several."""
    inputs: Literal["auto", "all"] = "auto"
    """'all': every column that is not named for something else is an input, whatever it is called."""
    labels: LabelForm = "auto"
    """What label cells are: 'names' as they are written, 'numbers', 'sets' (lists, or names with a separator between
    them), 'vectors' of 0 and 1 for each label; 'auto' decides over the whole column and refuses what is unclear."""
    sounds: str | None = None
    """The column of sounds, where there are several: paths of sound files, or encoded sounds."""
    decimal: DecimalSign = "auto"
    """The decimal sign of numbers such as 8,3 or $1,234.50: 'point' or 'comma'; 'auto' takes it from the labels where
    only one fits."""

    @classmethod
    def recognises(cls, source: Any) -> str | None:
        """Which tables with which columns."""
        if (
            annotated(source) or labels_videos(source) or _is_tagged(source)
        ):  # annotations and words with tags are not rows of a table
            return None
        try:
            tables = find_tables(source)
            return in_words(tables) if tables else None
        except SeveralTables as error:
            return error.held
        except DataError as error:
            return f"a table or tables: {error}"

    def read(self, source: Any, columns: Columns, *, labelled: bool = True) -> Examples:
        """One row per row of the table, or of the tables one after the other: train, val, test.

        Raises:
            DataError: columns that are missing or ambiguous, labels of several kinds or of an unclear one, or a table
                that cannot be read.
        """
        tables = _tables(source, self.table)
        root = tables[0].source.root
        present = list(dict.fromkeys(nfc(name) for table in tables for name in table.source.names()))
        if labelled and isinstance(tables[0].source, Lines):
            raise DataError(
                f"{source} has a text on each line and no labels. If tabs or commas separate its columns, call it .tsv "
                "or .csv; and give the columns their names in the first line."
            )
        columns = known_labels(columns, present) if labelled and columns.each_label else columns
        columns = named_columns(named_besides(columns, present), present, labelled=labelled)
        typed = not all(isinstance(part.source, CsvFile) for part in tables)
        head = tables[0].source.head(_LOOK_AT) if columns.labels else None
        each = columns.labels if head is not None and each_a_task(in_nfc(head), columns) else ()
        written = list(each) if typed or each else label_candidates(present, columns)
        if labelled and not typed and not written and len(present) < _FEW:  # its cells are read as they are written
            written = list(filter(None, [sole_label(in_nfc(tables[0].source.head(_LOOK_AT)), columns)]))
        written += filter(None, [transcript_column(present, columns)])
        table = with_lists(read_tables(tables, _as_text(columns).union(written)), columns)
        notes = [note for part in tables for note in part.source.notes]
        lists = token_columns(table, columns)
        if lists is not None:
            table, columns = with_texts(table, lists.tokens), columns.model_copy(update={"text": (TEXT,)})
            columns = columns.model_copy(update={"label": lists.tags or columns.label})
        if columns.labels:
            table = without_unlabelled_parts(table, columns.labels[0], tables, notes)
            table, columns = with_records(table, columns) if each else with_label_columns(table, columns, notes)
        roles = recognise(table, columns, root, labelled=labelled, **self._guessing())
        if labelled and roles.label in present:
            table = without_unlabelled_parts(table, roles.label, tables, notes)
        if labelled:
            require_inputs(table, roles.inputs.columns, tables)
        notes += _beside(source, tables, _paths(table, roles.inputs))
        labels = ReadLabels(with_inputs(table, roles, root, self.decimal), "label")
        if labelled and lists is not None and lists.tags is not None:
            labels = ReadLabels(with_tag_spans(labels.table, lists.tags, notes), "spans")
        elif labelled and roles.label is not None and (each or roles.label in present):
            labels = self._labels(labels.table, roles, each, columns, typed, notes)
        table = labels.table if roles.part is None else with_parts(labels.table, roles.part, strict=labelled)
        schema = _schema(roles, root, PLACES if lists is not None else None)
        if labelled and roles.label is not None:
            schema = schema.model_copy(update={"targets": {labels.target: roles.label}, **labels.roles})
        return Examples(table, schema, (*notes, *roles.inputs.notes))

    def _guessing(self) -> dict[str, Any]:
        """Return what `recognise` is told of the settings."""
        return {"decimal": self.decimal, "every": self.inputs == "all", "sounds": self.sounds}

    def _labels(
        self, table: pa.Table, roles: Roles, each: Sequence[str], columns: Columns, typed: bool, notes: list[str]
    ) -> ReadLabels:
        """Read the label column, or the records of `each` of several."""
        label = str(roles.label)
        if roles.transcribed:
            return ReadLabels(with_transcripts(table, label), TRANSCRIPT)
        if not each:
            return with_labels(table, label, self._reading(columns, typed, notes), roles.inputs)
        readings = {name: self._reading(columns_of(columns, name), typed, notes) for name in each}
        return with_each_label(table, label, readings, roles.inputs)

    def _reading(self, columns: Columns, typed: bool, notes: list[str]) -> LabelReading:
        """Return what label cells are: by the settings, else as training found."""
        found = {"labels": columns.label_form, "decimal": columns.decimal}
        known = self.model_copy(update={name: value for name, value in found.items() if value})
        form = known.labels if self.labels == "auto" else self.labels
        return LabelReading(typed, form, known.decimal if self.decimal == "auto" else self.decimal, notes)

    def stream(self, source: Any, columns: Columns, rows: int) -> Iterator[Examples]:
        """The inputs alone, in the same order, at most `rows` at a time."""
        tables = _tables(source, self.table)
        for part in tables:
            table = part.source
            called = {nfc(name): name for name in table.names()}
            refuse_twins(table.names(), table.words)
            wanted = _of_lines(table.words, columns) if isinstance(table, Lines) else columns
            named = named_columns(named_besides(wanted, list(called)), list(called), labelled=False)
            head = with_lists(in_nfc(table.head(_LOOK_AT)), named)
            lists = token_columns(head, named)
            if lists is not None:
                schema = Schema(modality="text", inputs=(TEXT,), words=PLACES, origin=ORIGIN, root=table.root)
                for chunk in table.chunks({called[lists.tokens]: pa.list_(pa.string())}, rows):
                    words = with_lists(in_nfc(chunk), named, required=lists.tokens)
                    yield Examples(with_texts(words, lists.tokens), schema, tuple(_notes(source, tables)))
                continue
            roles = recognise(head, named, table.root, labelled=False, **self._guessing())
            inputs = roles.inputs
            names_rows = id_column(head, inputs.columns)
            schema = Schema(
                modality=inputs.modality,
                inputs=inputs.columns,
                texts=inputs.texts,
                id=names_rows,
                origin=ORIGIN,
                root=table.root,
            )
            every = isinstance(modality_named(inputs.modality), InFiles)
            notes = [note for part in tables for note in part.source.notes] if every else _notes(source, tables)
            numbers = {name for name in inputs.columns if inputs.types.get(name) == pa.float64()}
            plain = {name for name in numbers if _is_number(head.schema.field(name).type)}
            asked = [*inputs.columns, *([] if names_rows is None else [names_rows])]
            kinds = {called[name]: pa.float64() if name in plain else pa.string() for name in asked}
            for chunk in table.chunks(kinds, rows):
                for start in range(0, chunk.num_rows, rows):
                    some = with_inputs(in_nfc(chunk.slice(start, rows)), roles, table.root, self.decimal)
                    yield Examples(with_names(some, names_rows), schema, (*notes, *inputs.notes))


def _of_lines(words: str, columns: Columns) -> Columns:
    """The column of a file of lines in place of a model's. Raises DataError where that has another kind of input."""
    asked = [*columns.text, *columns.numeric, *columns.categorical, *columns.date, *filter(None, [columns.image])]
    if asked and (len(asked) > 1 or not columns.text):
        raise DataError(
            f"{words} is read as a text on each line, and the model takes the columns {', '.join(asked)}. Give a table "
            "with a header that names them, or JSON."
        )
    return Columns(text=(LINE,))


def _schema(roles: Roles, root: str, words: str | None) -> Schema:
    return Schema(
        modality=roles.inputs.modality,
        inputs=roles.inputs.columns,
        texts=roles.inputs.texts,
        words=words,
        group=roles.group,
        domain=roles.domain,
        slices=roles.slices,
        part=PART_COLUMN if roles.part is not None else None,
        origin=ORIGIN,
        root=root,
    )


def _is_number(kind: pa.DataType) -> bool:
    """Return whether a file without types may be read with numbers in a column; nothing is known of an empty one."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind))


def _tables(source: Any, wanted: str | None) -> list[TablePart]:
    tables = find_tables(source, wanted)
    if not tables:
        raise DataError(f"{source} is not a table: expected .csv, .tsv, .parquet, .jsonl, .xlsx, a frame or a data set")
    return tables


def _is_tagged(source: Any) -> bool:
    return isinstance(source, (str, Path)) and Path(source).suffix.lower() == ".txt" and bool(find_files(source))


def _notes(source: Any, tables: Sequence[TablePart]) -> list[str]:
    return [*(note for part in tables for note in part.source.notes), *_beside(source, tables)]


def _beside(source: Any, tables: Sequence[TablePart], inputs: Collection[str] = ()) -> list[str]:
    """A note on files of a folder that are neither tables nor among the inputs."""
    if any(isinstance(part.source, ArrowRows) for part in tables):  # with files that describe them
        return []
    return [*others_in(source, {*(part.source.words for part in tables), *inputs})]


def _paths(rows: pa.Table, inputs: Inputs) -> set[str]:
    """The inputs that are paths, as the table has them."""
    if not isinstance(modality_named(inputs.modality), InFiles):
        return set()
    named = (name for name in inputs.columns if is_text(rows.schema.field(name).type))
    return {path for name in named for path in rows.column(name).to_pylist()}


def _as_text(columns: Columns) -> frozenset[str]:
    """Columns whose values are names or prose even where they look like numbers."""
    named = [*columns.text, *columns.categorical, *columns.slices, columns.image, columns.group, columns.domain]
    named += [columns.part]
    return frozenset(name for name in named if name is not None)
