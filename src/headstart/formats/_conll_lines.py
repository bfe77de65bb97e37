"""Reading files with one word per line and its tag in another column, a blank line after each sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from headstart.formats._conll_columns import JOINED, Columns, Layout, layout_of
from headstart.formats._tag_spelling import is_tag
from headstart.kernel.errors import DataError
from headstart.kernel.regular import open_regular

DOCUMENT = "-DOCSTART-"
"""Stands for a line that begins a document and is not a word of it."""

_STARTS = re.compile(r"-DOCSTART-|\d+\s+-DOCSTART-|#begin document|# newdoc\b")
_COMMENT = re.compile(r"#[ \t]|#end document")
_BLANK = " \t\r\n\f"


@dataclass
class Sentence:
    """The words of one sentence as they are filled in."""

    document: int
    """Number of its document in the file; 0 before the first line that begins one."""
    words: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    """Of each word; another of its columns where it has none."""
    lines: list[int] = field(default_factory=list)


class ConllLines:
    """One file."""

    def __init__(self, path: Path) -> None:
        """Nothing is read yet."""
        self.path = path

    def layout(self, word: int | None = None, tag: int | None = None, *, tagged: bool) -> Layout:
        """Return the meaning of its columns, by all its lines; `word` and `tag` as in `Conll`.

        Raises:
            DataError: it cannot be read, is not UTF-8, or a line has not the columns of the others; says which line.
        """
        seen, begins = Columns(self.path), True
        for number, line, columns in self._rows():
            if columns is None:
                seen.comments.append(number)
                continue
            if not columns or columns[0] == DOCUMENT:
                begins = True
                continue
            if not seen.values:
                seen.begin(number, line, len(columns))
            if begins and _COMMENT.match(line):
                seen.marked[number] = columns
            else:
                seen.add(number, columns, begins=begins)
                begins = begins and JOINED.fullmatch(columns[0]) is not None
        return layout_of(seen, word, tag, tagged=tagged)

    def sentences(self, layout: Layout) -> Iterator[Sentence]:
        """Sentence by sentence. Raises DataError as `layout`."""
        document, sentence = 0, Sentence(0)
        for number, _, columns in self._rows():
            if columns is None or number in layout.comments:
                continue
            if not columns or columns[0] == DOCUMENT:
                document += bool(columns)
                if sentence.words:
                    yield sentence
                sentence = Sentence(document)
            elif not (layout.numbered and JOINED.fullmatch(columns[0])):
                tag = columns[layout.tag]
                sentence.words.append(columns[layout.word])
                sentence.tags.append(layout.tags.get(tag, tag))
                sentence.lines.append(number)
        if sentence.words:
            yield sentence

    def columns(self, most: int) -> list[list[str]]:
        """The columns of the first lines with words, at most that many."""
        return list(islice((columns for _, _, columns in self._rows() if columns), most))

    def _rows(self) -> Iterator[tuple[int, str, list[str] | None]]:
        """The number of each line, the line and its columns: none for a blank line, None for a comment."""
        separator, width = "", 0
        for number, line in self._lines():
            if not line.split():
                yield number, line, []
                continue
            if _STARTS.match(line.lstrip()):
                yield number, line, [DOCUMENT]
                continue
            tab = "\t" if "\t" in line else " "
            columns = _columns(line, separator or tab)
            if len(columns) != width and _COMMENT.match(line) and (width or not is_tag(columns[-1])):
                yield number, line, None
                continue
            if not width:
                separator, width = tab, len(columns)
            if len(columns) != width or not all(columns):
                raise self._fault(number, line, columns, width, separator)
            yield number, line, columns

    def _fault(self, number: int, line: str, columns: list[str], width: int, separator: str) -> DataError:
        between = "tabs" if separator == "\t" else "spaces"
        what = f"{len(columns)} columns" if len(columns) != width else "an empty column"
        return DataError(
            f"{self.path}:{number} has {what} ({line[:60]!r}); the first line with a word has {width}, with {between} "
            "between them. Every word needs its tag, and a sentence ends with a blank line."
        )

    def _lines(self) -> Iterator[tuple[int, str]]:
        """Without the blanks at the end; lines end with a line feed, whatever lies before it."""
        try:
            with open_regular(self.path) as file:
                for number, content in enumerate(file, start=1):
                    line = content.decode("utf-8-sig" if number == 1 else "utf-8")
                    yield number, line.rstrip(_BLANK)
        except UnicodeDecodeError as error:
            raise DataError(f"{self.path}:{number} is not UTF-8: {error}. Convert the file to UTF-8.") from error
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {error.strerror or error}") from error


def _columns(line: str, separator: str) -> list[str]:
    if separator == "\t":
        return [column.strip(" ") for column in line.split("\t")]
    return [column for column in line.split(" ") if column]
