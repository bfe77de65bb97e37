"""Lists and records in the text of a cell: as JSON, as Python writes them, and as NumPy does, without commas.

`["a", "b"]`, `['a', 'b']`, `('a', 'b')`, `{'a', 'b'}`, `['a' 'b']`, `[0 1]`, `array([0, 1], dtype=int8)`,
`[np.int64(0)]`, `[{'start': 0, 'label': 'a'}]`. Nothing is evaluated.
"""

from __future__ import annotations

import re
from ast import literal_eval
from typing import Any

from headstart.kernel.documents import DEEPEST, parse_json

_TOKENS = re.compile(r"""\s*(?:([\[\](){},:])|('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|([^\s\[\](){},:'"]+))""", re.DOTALL)
"""A mark, a quoted text, or a bare word."""

_CLOSING = {"[": "]", "(": ")", "{": "}"}
_WORDS = {"true": True, "false": False, "none": None, "null": None, "nan": None, "nat": None, "<na>": None}
_CALLS = re.compile(r"(np\.|numpy\.)?(array|set|frozenset|list|tuple|str_|bool_?|u?int\d*|float\d*)")
_WHOLE = re.compile(r"[+-]?[0-9]{1,300}")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_BRACKETED = re.compile(r"\s*((array|frozenset)\()?[\[({].*[\])}]\s*|\s*(set|frozenset)\(\)\s*", re.DOTALL)


def is_bracketed(text: str) -> bool:
    """Return whether a text begins and ends as a list or a record does."""
    return _BRACKETED.fullmatch(text) is not None


def parse_cell(text: str) -> list[Any] | dict[str, Any]:
    """Return the list or record that a cell holds; tuples, sets and arrays are lists. Raises ValueError."""
    try:
        value = parse_json(text)
    except ValueError:
        value = _Reader(text).read()
    if not isinstance(value, (list, dict)):
        raise ValueError("it is not a list")
    return value


class _Reader:
    """The tokens of a text, taken from first to last."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text.rstrip(), 0

    def read(self) -> Any:
        value = self._value(0)
        if self._at != len(self._text):
            raise ValueError(f"something follows its end: {self._text[self._at :][:20]!r}")
        return value

    def _value(self, depth: int) -> Any:
        mark, quoted, word = self._token()
        if depth > DEEPEST:
            raise ValueError(f"it is nested deeper than {DEEPEST} levels")
        if quoted:
            return _unquoted(quoted)
        if word:
            return self._called(depth) if _CALLS.fullmatch(word) and self._next() == "(" else _of_word(word)
        if mark not in _CLOSING:
            raise ValueError(f"{mark!r} stands where a value should")
        items, commas, pairs = self._items(_CLOSING[mark], depth)
        if mark == "(" and len(items) == 1 and not commas:  # Python writes ('a',) for a tuple of one
            raise ValueError("a value in parentheses is not a list")
        return dict(pairs) if pairs else items

    def _called(self, depth: int) -> Any:
        """The first argument of `array(...)`, `set(...)`, `np.int64(...)`; what follows it says a type."""
        self._token()
        items, _, _ = self._items(")", depth)
        return items[0] if items else []

    def _items(self, closing: str, depth: int) -> tuple[list[Any], int, list[tuple[str, Any]]]:
        items: list[Any] = []
        pairs: list[tuple[str, Any]] = []
        commas = 0
        while self._next() != closing:
            if self._next() == ",":
                self._token()
                commas += 1
            elif self._next() == ":" and closing == "}" and items:
                self._token()
                pairs.append((str(items.pop()), self._value(depth + 1)))
            else:
                items.append(self._value(depth + 1))
        self._token()
        if pairs and items:
            raise ValueError("it is neither a record nor a set")
        return items, commas, pairs

    def _token(self) -> tuple[str, str, str]:
        found = _TOKENS.match(self._text, self._at)
        if found is None:
            raise ValueError("it ends before its last bracket" if self._at >= len(self._text) else "it cannot be read")
        self._at = found.end()
        return found[1] or "", found[2] or "", found[3] or ""

    def _next(self) -> str:
        """The next mark; '' before anything else."""
        found = _TOKENS.match(self._text, self._at)
        if found is None:
            raise ValueError("it ends before its last bracket")
        return found[1] or ""


def _unquoted(token: str) -> str:
    for read in (parse_json, literal_eval):
        try:
            text = str(read(token))
            text.encode()
        except (ValueError, SyntaxError):
            continue
        return text
    raise ValueError(f"{token[:40]} is not text that Python or JSON could have written")


def _of_word(word: str) -> Any:
    if word.lower() in _WORDS:
        return _WORDS[word.lower()]
    if _WHOLE.fullmatch(word):
        return int(word)
    if _DECIMAL.fullmatch(word):
        return float(word)
    if word == "...":
        raise ValueError("NumPy left items out of it at '...'")
    if word.startswith("dtype="):
        return None
    raise ValueError(f"{word[:40]!r} has no quotation marks")
