"""Texts in line-aligned files, one for each language, as corpora of translations are given: `train.en`, `train.de.gz`.

Line n of one file is the translation of line n of the other. Names of files that begin with train, val (dev) or test
say the part; several test files have figures of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.format import Columns, streamed
from headstart.contracts.left_out import LeftOut, left_out
from headstart.formats._given_paths import is_path
from headstart.formats._language_files import (
    SOURCES,
    Corpus,
    corpora,
    languages_of,
    lines_of,
    require_aligned,
)
from headstart.kernel.errors import DataError, unknown
from headstart.kernel.settings import Settings

_PART, _FILE, _ORIGIN = "part", "file", "origin"


class ParallelText(Settings):
    """Line-aligned text files in two languages or more."""

    @classmethod
    def recognises(cls, source: Any) -> str | None:
        """Which languages, in how many files."""
        try:
            found, others = corpora(source)
        except DataError as error:
            return f"line-aligned files: {error}"
        files = sum(len(corpus.files) for corpus in found)
        alone = is_path(source) and Path(source).is_file() and files < 2
        if not files or len(others) > files or alone:
            return None
        return f"line-aligned files of {len(found)} corpora in {', '.join(languages_of(found))}"

    def read(self, source: Any, columns: Columns, *, labelled: bool = True) -> Examples:
        """One row per line, in the order of the files' names.

        Raises:
            DataError: there are no such files, files have different numbers of lines, or it is not plain which
                language is read and which is written.
        """
        found, others = corpora(source)
        if not found:
            raise DataError(f"{source} holds no line-aligned files such as train.en and train.de")
        notes: list[str] = [*left_out(others, "files beside those of languages")]
        reads, writes = _languages(found, columns, notes, labelled=labelled)
        wanted = (reads, *filter(None, [writes]))
        used = _used(found, wanted, notes)
        tables = [_table(corpus, wanted, notes) for corpus in used]
        table = pa.concat_tables(tables)
        if not table.num_rows:
            raise DataError(f"{source}: no line has text in {' and in '.join(wanted)}")
        schema = Schema(modality="text", inputs=(reads,), origin=_ORIGIN)
        if labelled and writes is not None:
            schema = schema.model_copy(update={"targets": {"label": writes}})
        if labelled and all(corpus.part for corpus in used):
            parts = {corpus.name: corpus.part for corpus in used}
            words = [parts[name] for name in table.column(_FILE).to_pylist()]
            table, schema = table.append_column(_PART, pa.array(words)), schema.model_copy(update={"part": _PART})
            if sum(part == "test" for part in parts.values()) > 1:
                schema = schema.model_copy(update={"slices": (_FILE,)})
        return Examples(table, schema, tuple(notes))

    def stream(self, source: Any, columns: Columns, rows: int) -> Iterator[Examples]:
        """The texts that are read, in the same order, `rows` at a time."""
        yield from streamed(self, source, columns, rows)


def _languages(found: list[Corpus], columns: Columns, notes: list[str], *, labelled: bool) -> tuple[str, str | None]:
    """The language that is read and the one that is written; None where none is wanted."""
    there = languages_of(found)
    asked = {"--text": columns.text[0] if columns.text else None, "--label": columns.label if labelled else None}
    for flag, name in asked.items():
        if name is not None and name not in there:
            raise DataError(f"{flag} {name}: {unknown('language', name, there)}")
    reads = columns.text[0] if columns.text else next((one for one in there if one != columns.label), there[0])
    left = [name for name in there if name != reads]
    if not labelled:
        return reads, None
    if not left:
        raise DataError(f"the files are all in {reads}: there is no label, the text that is to be written")
    if columns.label is None and len(left) > 1:
        raise DataError(f"the files are in {', '.join(there)}: say which is read and written with --text A --label B")
    writes = columns.label or left[0]
    if not (columns.text and columns.label):
        why = "" if reads in SOURCES else ", the first by name"
        notes.append(f"{reads} is read{why} and {writes} is written; --text and --label say otherwise")
    return reads, writes


def _used(found: list[Corpus], wanted: tuple[str, ...], notes: list[str]) -> list[Corpus]:
    """The corpora in the wanted languages; where some name a part, those that do."""
    whole = [corpus for corpus in found if {*wanted} <= {*corpus.files}]
    if not whole:
        raise DataError(f"no files are both in {' and '.join(wanted)}: {', '.join(corpus.name for corpus in found)}")
    used = [corpus for corpus in whole if corpus.part] or whole
    names = {corpus.name for corpus in used}
    lacking = [path.name for corpus in found if corpus.name not in names for path in corpus.files.values()]
    notes += left_out(lacking, "files without a partner or outside the parts")
    return used


def _table(corpus: Corpus, wanted: tuple[str, ...], notes: list[str]) -> pa.Table:
    """The lines of a corpus that have text in each of the wanted languages."""
    lines = {name: lines_of(corpus.files[name], notes) for name in wanted}
    require_aligned(corpus, lines)
    first = next(iter(lines.values()))
    kept = [row for row in range(len(first)) if all(some[row].strip() for some in lines.values())]
    if empty := len(first) - len(kept):
        notes.append(LeftOut(empty, f"{corpus.name}: {empty} lines left out that are empty in a language"))
    name = corpus.files[wanted[0]].name
    columns = {language: pa.array([some[row] for row in kept], pa.string()) for language, some in lines.items()}
    columns |= {
        _FILE: pa.array([corpus.name] * len(kept), pa.string()),
        _ORIGIN: pa.array([f"{name}:{row + 1}" for row in kept], pa.string()),
    }
    return pa.table(columns)
