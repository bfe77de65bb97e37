"""Reading files with one word per line and its tag in the last column, a blank line after each sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from headstart.kernel.errors import DataError
from headstart.kernel.regular import open_regular

DOCUMENT = "-DOCSTART-"
"""The word of a line that begins a document and is no word of it."""

_TAG = re.compile(r"O|[BIESLU]-\S+")
_BLANK = " \t\r\n\f"


@dataclass
class Sentence:
    """The words of one sentence as they are filled in."""

    document: int
    """Number of its document in the file; 0 before the first line that begins one."""
    words: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    """The last column of each line; its only one where there is one only."""
    lines: list[int] = field(default_factory=list)


class ConllLines:
    """One file."""

    def __init__(self, path: Path) -> None:
        """Nothing is read yet."""
        self.path = path

    def sentences(self, *, tagged: bool) -> Iterator[Sentence]:
        """Sentence by sentence.

        Args:
            tagged: whether every word must have a tag.

        Raises:
            DataError: it cannot be read, is not UTF-8, or a line has not the columns of the others; says which line.
        """
        document, sentence = 0, Sentence(0)
        for number, columns in self._rows(tagged):
            if not columns or columns[0] == DOCUMENT:
                document += bool(columns)
                if sentence.words:
                    yield sentence
                sentence = Sentence(document)
                continue
            sentence.words.append(columns[0])
            sentence.tags.append(columns[-1])
            sentence.lines.append(number)
        if sentence.words:
            yield sentence

    def columns(self, most: int) -> list[list[str]]:
        """The columns of the first lines with words, at most that many."""
        found = []
        for _, columns in self._rows(False):
            if columns:
                found.append(columns)
            if len(found) == most:
                break
        return found

    def _rows(self, tagged: bool) -> Iterator[tuple[int, list[str]]]:
        """The number of each line and its columns, none for a blank line; comments are passed over."""
        separator, width = "", 0
        for number, line in self._lines():
            words = line.split()
            if not words or words[0] == DOCUMENT:
                yield number, words[:1]
                continue
            tab = "\t" if "\t" in line else " "
            columns = _columns(line, separator or tab)
            if len(columns) != width and line.startswith("# ") and (width or not is_tag(columns[-1])):
                continue
            if not width:
                separator, width = tab, len(columns)
                self._require_tag(number, line, width if tagged else 2)
            if len(columns) != width or not all(columns):
                raise self._fault(number, line, columns, width, separator)
            yield number, columns

    def _require_tag(self, number: int, line: str, width: int) -> None:
        if width < 2:
            raise DataError(
                f"{self.path}:{number} has the one column {line!r} and no label. Expected a word, a tab or space, and "
                "its tag on each line."
            )

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


def is_tag(column: str) -> bool:
    """Return whether it is written as tags of spans are: 'O', 'B-person'."""
    return _TAG.fullmatch(column) is not None


def _columns(line: str, separator: str) -> list[str]:
    if separator == "\t":
        return [column.strip(" ") for column in line.split("\t")]
    return [column for column in line.split(" ") if column]
