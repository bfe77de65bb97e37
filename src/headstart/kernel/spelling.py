"""Names that are the same to a reader and not to a program: accents in two forms, other case, more spaces."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from unicodedata import normalize


def nfc(text: str) -> str:
    """Return the text with every accent in the composed form, as most files have them."""
    return normalize("NFC", text)


def one_spelling(names: Iterable[str]) -> dict[str, str]:
    """Return the names that occur with accents in two forms, and what to call each: the composed form."""
    return {name: nfc(name) for names in _alike(names, nfc) for name in names}


def nearly_alike(names: Iterable[str]) -> list[list[str]]:
    """Return the groups of names that differ only in case, spaces or the width of letters."""
    return _alike(names, lambda name: " ".join(normalize("NFKC", name).casefold().split()))


def _alike(names: Iterable[str], key: Callable[[str], str]) -> list[list[str]]:
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name in dict.fromkeys(names):
        groups[key(name)].append(name)
    return [group for group in groups.values() if len(group) > 1]
