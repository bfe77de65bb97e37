"""The ways in which tags mark spans of words: IOB2, IOB1, BIOES, BILOU, and plain tags of one word each.

IOB1 (Ramshaw & Marcus 1995) writes B- only between two neighbours of one type, IOB2 at every beginning. The scheme is
recognised from all tags together, and what does not follow it is a fault that is named, never relabelled.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from headstart.formats._tag_spelling import OUTSIDE, respelt
from headstart.kernel.errors import DataError

_PREFIXED = re.compile(r"([BIOESLU])-(.+)", re.DOTALL)
_ENDS = {"BIOES": frozenset("BIES"), "BILOU": frozenset("BILU")}
_AS_BIOES = {"L": "E", "U": "S"}


class Tags(NamedTuple):
    """The tags of one sentence."""

    tags: Sequence[str]
    places: Sequence[str]
    """'file:line' of each."""


class WordSpan(NamedTuple):
    """Words that belong together."""

    first: int
    stop: int
    """One past the last."""
    label: str


class _Tag(NamedTuple):
    prefix: str
    """'B', 'I', 'E', 'S', or 'O' outside of spans."""
    label: str


_OUT = _Tag("O", "")


def read_spans(
    sentences: Sequence[Tags], outside: str | None = None, remedy: str = "write it as O"
) -> tuple[list[list[WordSpan]], str]:
    """The spans of each sentence, and how the tags were read, in words; `outside` and `remedy` as in `respelt`.

    Raises:
        DataError: the tags follow no scheme, or one does not follow theirs; says where.
    """
    spelt = respelt(dict.fromkeys(tag for sentence in sentences for tag in sentence.tags), outside, remedy)
    sentences = [Tags([spelt[tag] for tag in tags], places) for tags, places in sentences]
    scheme = recognise_scheme(sentences, remedy)
    words = "every tag labels its own word" if scheme == "plain" else f"the tags were read as {scheme}"
    changed = [f"'{tag}' as {read}" for tag, read in spelt.items() if tag != read]
    words += f", {', '.join(changed[:3])}" if changed else ""
    return [spans_of(sentence, scheme) for sentence in sentences], words


def recognise_scheme(sentences: Iterable[Tags], remedy: str) -> str:
    """'IOB2', 'IOB1', 'BIOES', 'BILOU' or 'plain'.

    Raises:
        DataError: the tags follow none of them; says where.
    """
    sentences = list(sentences)
    first: dict[str, str] = {}
    """Prefix, '' for none -> where it is first seen."""
    for tag, place in _inside(sentences):
        prefixed = _PREFIXED.fullmatch(tag)
        first.setdefault(prefixed[1] if prefixed else "", f"{place}: tag '{tag}'")
    prefixes = set(first)
    if prefixes == {""}:
        return "plain"
    if "" in prefixes:
        raise DataError(
            f"{first['']} has no prefix such as B- or I-, which others have. Write all tags in one way. If it "
            f"stands for no entity: {remedy}"
        )
    if prefixes <= {"B", "I"}:
        return _iob(sentences)
    for scheme, known in _ENDS.items():
        if prefixes <= known:
            return scheme
    seen = "; ".join(first[prefix] for prefix in sorted(prefixes))
    raise DataError(f"the prefixes of the tags belong to no scheme (IOB1, IOB2, BIOES, BILOU): {seen}")


def spans_of(sentence: Tags, scheme: str) -> list[WordSpan]:
    """The spans of a sentence, in order. Raises DataError at the first tag that does not follow the scheme."""
    if scheme == "plain":
        return [WordSpan(at, at + 1, tag) for at, tag in enumerate(sentence.tags) if tag != OUTSIDE]
    tags = [_read(tag) for tag in sentence.tags]
    if scheme in _ENDS:
        _require_whole(tags, sentence)
    found: list[WordSpan] = []
    before = _OUT
    for at, tag in enumerate(tags):
        if tag.prefix != "O":
            if _begins(tag, before, scheme, sentence, at):
                found.append(WordSpan(at, at + 1, tag.label))
            else:
                found[-1] = found[-1]._replace(stop=at + 1)
        before = tag
    return found


def places_of(words: Sequence[str]) -> list[dict[str, int]]:
    """Where each word lies in the text of all, joined by spaces."""
    found, start = [], 0
    for word in words:
        found.append({"start": start, "end": start + len(word)})
        start += len(word) + 1
    return found


def in_characters(spans: Iterable[WordSpan], places: Sequence[Mapping[str, int]]) -> list[dict[str, Any]]:
    """Spans of words, whose places are given, as spans of characters."""
    return [
        {"start": places[span.first]["start"], "end": places[span.stop - 1]["end"], "label": span.label}
        for span in spans
    ]


def _inside(sentences: Iterable[Tags]) -> Iterator[tuple[str, str]]:
    """Every tag but O, and its place."""
    for sentence in sentences:
        yield from ((tag, place) for tag, place in zip(sentence.tags, sentence.places) if tag != OUTSIDE)


def _iob(sentences: Sequence[Tags]) -> str:
    """IOB2 unless a span begins with I-; then IOB1 unless a B- stands where IOB1 has none."""
    orphan = needless = ""
    for sentence in sentences:
        before = _OUT
        for tag, place, written in zip(map(_read, sentence.tags), sentence.places, sentence.tags):
            goes_on = tag.label == before.label
            if tag.prefix == "I" and not goes_on:
                orphan = orphan or f"{place}: tag '{written}' follows no tag of its type"
            if tag.prefix == "B" and not goes_on:
                needless = needless or f"{place} has '{written}'"
            before = tag
    if orphan and needless:
        raise DataError(
            f"{orphan}. In IOB2 it should begin with B-; IOB1 it is not either, for {needless} after another type. "
            "Correct the tag."
        )
    return "IOB1" if orphan else "IOB2"


def _begins(tag: _Tag, before: _Tag, scheme: str, sentence: Tags, at: int) -> bool:
    """Return whether a span begins here rather than goes on."""
    if tag.prefix in ("B", "S"):
        return True
    if tag.label == before.label:
        return False
    if scheme == "IOB1":
        return True
    raise DataError(
        f"{sentence.places[at]}: tag '{sentence.tags[at]}' follows no tag of its type; {scheme} begins with B-"
    )


def _require_whole(tags: Sequence[_Tag], sentence: Tags) -> None:
    """Refuse a span of BIOES without its end, or that goes on after it."""
    for at, tag in enumerate(tags):
        after = tags[at + 1] if at + 1 < len(tags) else _OUT
        open_ = tag.prefix in ("B", "I")
        goes_on = after.prefix in ("I", "E") and after.label == tag.label
        if open_ and not goes_on:
            raise DataError(f"{sentence.places[at]}: the span of tag '{sentence.tags[at]}' has no end after it")
        if not open_ and after.prefix in ("I", "E") and (goes_on or tag.prefix == "O"):
            raise DataError(
                f"{sentence.places[at + 1]}: tag '{sentence.tags[at + 1]}' follows no beginning of its span"
            )


def _read(tag: str) -> _Tag:
    if tag == OUTSIDE:
        return _OUT
    prefix, _, label = tag.partition("-")
    return _Tag(_AS_BIOES.get(prefix, prefix), label)
