"""Which column of a CoNLL file holds its words and which their tags, decided once over all of its lines.

Columns before the words count the words of each sentence (`1`, `2`, `3`) or say the same of all of them, as the names
of documents do. The tags are in the last column, where it reads like tags; several that may be meant are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headstart.contracts.left_out import left_out
from headstart.formats._tag_spelling import is_tag, marks_spans
from headstart.kernel.errors import DataError

JOINED = re.compile(r"\d+[-.]\d+")
"""In CoNLL-U the number of a word that is made of several, or of one that is not written."""

_NUMBER = re.compile(r"\d{1,9}")
_NAME = re.compile(r"([^=|]+)=([^|]*)")
_SHOWN = 3


@dataclass(frozen=True)
class Layout:
    """Meaning of the columns of a file, numbered from 0."""

    word: int
    tag: int
    numbered: bool
    """Whether the first column counts the words of a sentence."""
    comments: frozenset[int]
    """Lines that look like words and are none."""
    tags: dict[str, str]
    """Value of the tag column -> the tag in it, where it is `name=TAG`; empty otherwise."""
    notes: tuple[str, ...]


NOTHING = Layout(0, -1, False, frozenset(), {}, ())
"""Of a file without words."""


@dataclass
class Columns:
    """Contents of each column."""

    path: Path
    first: tuple[int, str] = (0, "")
    """The first line with a word, and its number."""
    running: list[bool] = field(default_factory=list)
    """Whether each column counts words so far."""
    constant: list[bool] = field(default_factory=list)
    """Whether it says the same of all words of a sentence."""
    values: list[dict[str, None]] = field(default_factory=list)
    compared: int = 0
    """Words that have one before them in their sentence."""
    marked: dict[int, list[str]] = field(default_factory=dict)
    """Lines at the beginning of a sentence that start as comments do and have as many columns as the others."""
    joined: list[int] = field(default_factory=list)
    """Lines whose first column numbers no single word."""
    comments: list[int] = field(default_factory=list)
    """Lines that are comments."""
    _before: list[str] = field(default_factory=list)
    """The last word's columns."""

    def begin(self, number: int, line: str, width: int) -> None:
        """Take the first line with a word."""
        self.first = number, line
        self.running, self.constant, self.values = [True] * width, [True] * width, [{} for _ in range(width)]

    def add(self, number: int, columns: Sequence[str], *, begins: bool) -> None:
        """Look at a word that may be the first of its sentence."""
        for seen, value in zip(self.values, columns):
            seen[value] = None
        if JOINED.fullmatch(columns[0]):
            self.joined.append(number)
            return
        self.compared += not begins
        for k, value in enumerate(columns):
            if not begins:
                self.constant[k] &= value == self._before[k]
            if self.running[k]:
                after = int(self._before[k]) + 1 if self._before else 1
                whole = _NUMBER.fullmatch(value)
                self.running[k] = bool(whole) and int(value) in (0, 1, after)
        self._before = [*columns]


def layout_of(seen: Columns, word: int | None, tag: int | None, *, tagged: bool) -> Layout:
    """Return the meaning of the columns; `word` and `tag` are what the user said, from 1 on.

    Raises:
        DataError: there is no such column, no column of tags where these are wanted, or more than one.
    """
    width = len(seen.values)
    if not width:
        return NOTHING
    for name, given in (("word", word), ("tag", tag)):
        if given is not None and given > width and (tagged or name == "word"):
            raise DataError(f"{seen.path} has {width} columns; format.{name}={given} names one that is not there")
    if word is None:
        word = _words(seen) + 1
    notes: list[str] = []
    if word > 1:
        why = "the first counts words" if seen.running[0] else "those before are not words"
        notes.append(f"the words are in column {word} of {seen.path.name}, as {why}")
    tags: dict[str, str] = {}
    if tagged:
        tag, tags, told = _tag_column(seen, word, tag)
        notes += told
    last = min(tag or width, width) - 1
    lines = {number for number, columns in seen.marked.items() if not _is_word(columns[last], seen, last)}
    comments = sorted({*seen.comments, *lines})
    notes += left_out([f"{seen.path.name}:{number}" for number in comments], "lines of comments")
    numbered = width > 1 and seen.running[0] and word > 1
    if numbered:
        places = [f"{seen.path.name}:{number}" for number in seen.joined]
        notes += left_out(places, "lines of CoNLL-U that are not single words")
    return Layout(word - 1, last, numbered, frozenset(lines), tags, tuple(notes))


def _words(seen: Columns) -> int:
    """The first column that neither counts words nor names what all words of a sentence are part of."""
    width, k = len(seen.values), 0
    alike = seen.compared > 1
    while k < width - 1 and (seen.running[k] or (alike and seen.constant[k] and k < width - 2)):
        k += 1
    return k


def _is_word(value: str, seen: Columns, column: int) -> bool:
    return is_tag(value) or value in seen.values[column]


def _tag_column(seen: Columns, word: int, tag: int | None) -> tuple[int, dict[str, str], list[str]]:
    """The column of tags, from 1; the tags in its values, where these are more; and notes."""
    width, place = len(seen.values), f"{seen.path}:{seen.first[0]}"
    if width < 2:
        raise DataError(
            f"{place} has the one column {seen.first[1]!r} and no label. Expected a word, a tab or space, and its tag "
            "on each line."
        )
    if tag is None and word == width:
        raise DataError(
            f"{place} has the words in its last column and no label, as the columns before only count them. If words "
            f"are in another column, say so: --set format.word=1"
        )
    if tag is not None:
        return tag, _named(seen.values[tag - 1]) or {}, [f"the tags are in column {tag} of {seen.path.name}"]
    marks = [k for k in range(word, width) if marks_spans(seen.values[k])]
    marks = [k for k in marks if len(seen.values[k]) > 1] or marks  # rather than one of O alone
    named = {k: found for k in range(word, width) if (found := _named(seen.values[k]))}
    if width - 1 in named:
        return width, named[width - 1], []
    swapped = not marks and marks_spans(seen.values[word - 1])
    if width - 1 in marks or (width - word == 1 and not swapped):
        others = [str(k + 1) for k in marks if k < width - 1]
        told = f"the tags of {seen.path.name} are in column {width}, the last; tags are also in {', '.join(others)}"
        return width, {}, [f"{told}: --set format.tag={others[-1]} takes those"] if others else []
    if len(marks) == 1 and _says_little(seen.values[width - 1]):
        return marks[0] + 1, {}, [f"the tags are in column {marks[0] + 1} of {seen.path.name}, as in no other"]
    if not marks and not swapped and not _says_little(seen.values[width - 1]):
        return width, {}, [f"the tags are in column {width} of {seen.path.name}, the last"]
    shown = "; ".join(f"{k + 1} ({', '.join([*seen.values[k]][:_SHOWN])})" for k in range(word - swapped, width))
    raise DataError(
        f"{seen.path}: it is not clear which column holds the tags: {shown}. Say which with --set format.tag=NUMBER"
        + (" and --set format.word=NUMBER" if swapped else "")
    )


def _says_little(values: Iterable[str]) -> bool:
    """Return whether a column of CoNLL-U or the like holds no tag, but remarks such as `_` and `SpaceAfter=No`."""
    values = [*values]
    return len(values) == 1 or all(value in ("_", "-", "*") or "=" in value for value in values)


def _named(values: Iterable[str]) -> dict[str, str] | None:
    """Value -> the tag in it where all hold one under the same name, as `SpaceAfter=No|name=B-PER`; else None."""
    fields = {value: dict(_NAME.findall(value)) for value in values}
    names = set.intersection(*map(set, fields.values())) if fields else set()
    marking = [name for name in sorted(names) if marks_spans({found[name] for found in fields.values()})]
    return {value: found[marking[0]] for value, found in fields.items()} if len(marking) == 1 else None
