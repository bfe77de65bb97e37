"""Spellings of tags: `b-per`, `PER-B` and `B_PER` for `B-PER`, a bare `B`, and `o`, `0`, `_` or `-` for `O`.

Decided from all tags of the data at once: a spelling is taken only where every tag but those outside of spans has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from headstart.kernel.errors import DataError

OUTSIDE = "O"
BARE = "entity"
"""The label of tags that are prefixes alone."""

_TAG = re.compile(r"O|[BIESLU]-\S+")
_OUTSIDES = ("O", "o", "0", "_", "-")
_SCHEMES = frozenset("BI"), frozenset("BIES"), frozenset("BILU")
_SPELLINGS = (
    re.compile(r"(?P<prefix>[BIESLU])[-_:/.](?P<label>.+)", re.IGNORECASE | re.DOTALL),
    re.compile(r"(?P<label>.+)[-_:/.](?P<prefix>[BIESLU])", re.IGNORECASE | re.DOTALL),
    re.compile(r"(?P<prefix>[BIESLU])(?P<label>)", re.IGNORECASE),
)


def is_tag(text: str) -> bool:
    """Return whether it is written as tags of spans usually are: 'O', 'B-person'."""
    return _TAG.fullmatch(text) is not None


def marks_spans(tags: Iterable[str]) -> bool:
    """Return whether all these tags, in one spelling, are those of spans."""
    tags = [*tags]
    spelt = _prefixed(tags)
    return bool(tags) and (spelt is not None or {*tags} == {OUTSIDE})


def respelt(tags: Iterable[str], outside: str | None = None, remedy: str = "write it as O") -> dict[str, str]:
    """Tag -> the same as 'O', 'B-person' or a plain label; `outside` is what stands for none, seen without it.

    Raises:
        DataError: numbers, or several tags that may stand for no entity.
    """
    tags = [*tags]
    spelt = _prefixed(tags, outside)
    if spelt is not None:
        return spelt
    if outside is None and OUTSIDE not in tags:
        found = [tag for tag in _OUTSIDES if tag in tags]
        if len(found) > 1 or (tags and all(tag.isdecimal() for tag in tags)):
            listed = ", ".join(repr(tag) for tag in sorted(tags)[:8])
            raise DataError(
                f"it is not clear which of the tags {listed} stands for no entity, or whether one does: {remedy}"
            )
        outside = found[0] if found else None
    return {tag: OUTSIDE if tag == (outside or OUTSIDE) else tag for tag in tags}


def _prefixed(tags: Sequence[str], outside: str | None = None) -> dict[str, str] | None:
    """The tags by the first spelling with prefixes that all have; None where there is none."""
    out = {outside} if outside is not None else {*_OUTSIDES}
    inside = [tag for tag in tags if tag not in out]
    for spelling in _SPELLINGS:
        found = [spelling.fullmatch(tag) for tag in inside]
        prefixes = {match["prefix"].upper() for match in found if match}
        if not found or not all(found) or not any(prefixes <= scheme for scheme in _SCHEMES) or not prefixes & {*"BI"}:
            continue
        # a plain label may look like one, such as b_cell or vitamin-b; it has no I beside it
        if len(prefixes) > 1 or all(map(is_tag, inside)) or (OUTSIDE not in tags and len(inside) < len(tags)):
            spelt = {m.string: f"{m['prefix'].upper()}-{m['label'] or BARE}" for m in found if m}
            return {tag: spelt.get(tag, OUTSIDE) for tag in tags}
    return None
