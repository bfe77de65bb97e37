"""Names and messages as a terminal may show them: a file's name can hold anything but '/', and must not steer it."""

from __future__ import annotations

import re

_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but for tabs and ends of lines, changes of the direction of writing, bytes that are not text."""


def printable(text: str) -> str:
    """The text with every character spelt out that would do something else than appear."""
    return _STEERING.sub(lambda found: _spelt(found[0]), text)


def on_one_line(text: str) -> str:
    """As `printable`, ends of lines and tabs spelt out too."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def as_list(text: str) -> str:
    """As `on_one_line`, save that the lines of an indented list stay lines."""
    return "\n  ".join(map(on_one_line, text.split("\n  ")))


def is_text(name: str) -> bool:
    """Return True where every byte of a file's name is part of a character."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _spelt(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python holds a byte of a name that is not UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
