"""CoNLL files: a word per line with its tag in another column; also one file each for train, dev and test.

An example is a sentence: its words joined by single spaces, and spans of characters with their labels. Tags in IOB1,
IOB2, BIOES or BILOU, or plain ones of a word each, are recognised and checked; `-DOCSTART-` lines begin documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa
from pydantic import Field

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.format import Columns
from headstart.contracts.left_out import LeftOut
from headstart.formats._conll_columns import NOTHING, Layout
from headstart.formats._conll_files import ConllFile, find_files
from headstart.formats._conll_lines import Sentence
from headstart.formats._parts import PART_COLUMN, others_in
from headstart.formats._rows import ORIGIN
from headstart.formats._span_values import SPANS, WORDS
from headstart.formats._tag_schemes import Tags, in_characters, places_of, read_spans
from headstart.kernel.errors import DataError, unknown
from headstart.kernel.settings import Settings

_TEXT, _WORDS, _SPANS, _DOCUMENT = "text", "words", "spans", "document"

FEWEST_DOCUMENTS = 10
"""Documents from which sentences of one document stay together in the split; fewer could not be split."""

_FOREIGN = {"image": "--image", "domain": "--domain", "part": "--part"}


class Conll(Settings):
    """Words with tags, one per line."""

    word: int | None = Field(default=None, ge=1)
    """Number of the column of words, from 1; by default the first that neither counts words nor names documents."""
    tag: int | None = Field(default=None, ge=1)
    """Number of the column of tags, from 1; by default the last, where it is clear that it holds tags."""
    outside: str | None = None
    """Tag of words that belong to no entity; by default O, or what stands for it in the tags."""

    @classmethod
    def recognises(cls, source: Any) -> str | None:
        """Which files."""
        try:
            files = find_files(source)
        except DataError as error:
            return f"words with tags: {error}"
        return f"words with tags in {', '.join(file.lines.path.name for file in files)}" if files else None

    def read(self, source: Any, columns: Columns, *, labelled: bool = True) -> Examples:
        """One row per sentence.

        Raises:
            DataError: no words, a line without its tag, or tags that follow no scheme; file and line are named.
        """
        files = _files(source)
        if labelled:
            _refuse_foreign_columns(columns)
        layouts = _layouts(files, self, tagged=labelled)
        found = [list(lines.sentences(layout)) for (_, lines), layout in zip(files, layouts)]
        sentences = [sentence for some in found for sentence in some]
        parts = [part for (part, _), some in zip(files, found) for _ in some]
        origins = [origin for (_, lines), some in zip(files, found) for origin in _origins(lines.path.name, some)]
        told = (*_others(source, files), *(note for layout in layouts for note in layout.notes))
        if not sentences:
            raise DataError(f"{source} holds no words. Expected a word and its tag on each line.")
        table = _table(sentences, origins)
        schema = _schema()
        if not labelled:
            return Examples(table, schema, told)
        values, notes = _labels(files, parts, sentences, self.outside)
        table = table.append_column(_SPANS, values)
        schema = schema.model_copy(update={"targets": {"spans": _SPANS}})
        if any(parts):
            table = table.append_column(PART_COLUMN, pa.array(parts, pa.string()))
            schema = schema.model_copy(update={"part": PART_COLUMN})
        table, schema, more = _with_documents(table, schema, columns, parts, sentences)
        return Examples(table, schema, (*told, *notes, *more))

    def stream(self, source: Any, columns: Columns, rows: int) -> Iterator[Examples]:  # noqa: ARG002
        """The sentences without tags, in the same order, some `rows` at a time."""
        files = _files(source)
        notes: list[str] = [*_others(source, files)]
        for _, lines in files:
            layout = lines.layout(self.word, self.tag, tagged=False)
            notes += layout.notes
            sentences = lines.sentences(layout)
            while some := list(islice(sentences, rows)):
                yield Examples(_table(some, _origins(lines.path.name, some)), _schema(), tuple(notes))


def _others(source: Any, files: Sequence[ConllFile]) -> list[LeftOut]:
    return others_in(source, [file.lines.path.name for file in files])


def _layouts(files: Sequence[ConllFile], settings: Conll, *, tagged: bool) -> list[Layout]:
    """The meaning of the columns of each file. Raises DataError where it is not the same."""
    found = [lines.layout(settings.word, settings.tag, tagged=tagged) for _, lines in files]
    places = {
        (one.word + 1, one.tag + 1): lines.path.name for (_, lines), one in zip(files, found) if one is not NOTHING
    }
    if len(places) > 1 and tagged:
        listed = "; ".join(f"{word} and {tag} in {name}" for (word, tag), name in places.items())
        raise DataError(
            f"words and tags are in different columns: {listed}. Say which with --set format.word=NUMBER and --set "
            "format.tag=NUMBER"
        )
    return found


def _files(source: Any) -> list[ConllFile]:
    files = find_files(source)
    if files:
        return files
    raise DataError(
        f"{source} is not a CoNLL file: expected .conll, .bio, .iob2 or the like, or a .txt of words and tags"
    )


def _refuse_foreign_columns(columns: Columns) -> None:
    for name, flag in _FOREIGN.items():
        if getattr(columns, name) not in (None, PART_COLUMN):
            raise DataError(f"{flag} {getattr(columns, name)}: a CoNLL file has no such column")
    own = {"--text": (columns.text, (_TEXT,)), "--label": ((columns.label,), (_SPANS,))}
    for flag, (given, known) in own.items():
        if any(given) and given != known:
            raise DataError(f"{flag} {given[0]}: in a CoNLL file it is called '{known[0]}'; leave {flag} out")
    for name in columns.slices:
        raise DataError(unknown("slice", name, ()) + " A CoNLL file has no columns to slice by.")


def _schema() -> Schema:
    return Schema(modality="text", inputs=(_TEXT,), words=_WORDS, origin=ORIGIN)


def _origins(name: str, sentences: Iterable[Sentence]) -> list[str]:
    return [f"{name}:{sentence.lines[0]}" for sentence in sentences]


def _table(sentences: Sequence[Sentence], origins: Sequence[str]) -> pa.Table:
    texts = [" ".join(sentence.words) for sentence in sentences]
    words = [places_of(sentence.words) for sentence in sentences]
    return pa.table({_TEXT: pa.array(texts, pa.string()), _WORDS: pa.array(words, WORDS), ORIGIN: pa.array(origins)})


def _labels(
    files: Sequence[ConllFile], parts: Sequence[str], sentences: Sequence[Sentence], outside: str | None
) -> tuple[pa.Array, tuple[str, ...]]:
    """The spans of each sentence, and how their tags were read."""
    path_of = {file.part: file.lines.path for file in files}
    tags = [
        Tags(sentence.tags, [f"{path_of[part]}:{line}" for line in sentence.lines])
        for part, sentence in zip(parts, sentences)
    ]
    found, words = read_spans(tags, outside, "say which with --set format.outside=TAG")
    spans = [in_characters(one, places_of(sentence.words)) for one, sentence in zip(found, sentences)]
    return pa.array(spans, SPANS), (words,)


def _with_documents(
    table: pa.Table, schema: Schema, columns: Columns, parts: Sequence[str], sentences: Sequence[Sentence]
) -> tuple[pa.Table, Schema, tuple[str, ...]]:
    """With a column that names the document of each sentence, by which the split is made where there are enough."""
    if not any(sentence.document for sentence in sentences):
        if columns.group is not None:
            raise DataError(f"--group {columns.group}: the file has no -DOCSTART- lines that begin documents")
        return table, schema, ()
    if columns.group not in (None, _DOCUMENT):
        raise DataError(f"--group {columns.group}: " + unknown("column", columns.group, [_DOCUMENT]))
    names = [f"{part} {sentence.document}".strip() for part, sentence in zip(parts, sentences)]
    number = len(set(names))
    together = columns.group is not None or number >= FEWEST_DOCUMENTS
    note = f"{number} documents, whose sentences {'stay together' if together else 'are taken apart: too few to split'}"
    table = table.append_column(_DOCUMENT, pa.array(names, pa.string()))
    return table, schema.model_copy(update={"group": _DOCUMENT} if together else {}), (note,)
