"""Parsing JSON and TOML that others wrote: whatever cannot be taken is a ValueError that says what and where."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

DEEPEST = 100
"""Levels of lists and records in each other at most: more is not data, and exhausts the stack of what reads it."""

_HALVES = re.compile(r"\\u[dD][89a-fA-F]")
"""An escape that is a character only together with another."""


def parse_json(text: str | bytes) -> Any:
    """Return what a JSON text says.

    Raises:
        ValueError: it is not JSON, nested deeper than `DEEPEST`, holds an integer of thousands of digits, or half of a
            surrogate pair, which no UTF-8 file could hold.
    """
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text), "strict").removeprefix("\ufeff")
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError(_too_deep()) from error
    except ValueError as error:
        raise ValueError(_in_words(error)) from error
    _require_sound(value, surrogates=_HALVES.search(text) is not None)
    return value


def parse_toml(text: str) -> dict[str, Any]:
    """Return what a TOML text says. Raises ValueError as `parse_json`."""
    try:
        value = tomllib.loads(text)
    except RecursionError as error:
        raise ValueError(_too_deep()) from error
    except ValueError as error:
        raise ValueError(_in_words(error)) from error
    _require_sound(value, surrogates=False)
    return value


def _require_sound(value: Any, *, surrogates: bool) -> None:
    _require_shallow(value)
    if surrogates:
        _require_characters("", value)


def _require_shallow(value: Any) -> None:
    """Look through a value level by level, as what is nested deeply cannot be looked through by recursion."""
    level = [value]
    for _ in range(DEEPEST + 1):
        within = (one.values() if isinstance(one, dict) else one for one in level if isinstance(one, (dict, list)))
        level = [item for items in within for item in items if isinstance(item, (dict, list))]
        if not level:
            return
    raise ValueError(_too_deep())


def _require_characters(place: str, value: Any) -> None:
    if isinstance(value, dict):
        for name, item in value.items():
            _require_characters(f"{place}, a key", name)
            _require_characters(f"{place}.{name}", item)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            _require_characters(f"{place}[{number}]", item)
    elif isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            half = ascii(value[error.start])
            raise ValueError(
                f"{place.lstrip('., ') or 'it'} holds {half}, half of a surrogate pair, which is not a character"
            ) from error


def _too_deep() -> str:
    return f"lists and records are nested more than {DEEPEST} deep"


def _in_words(error: ValueError) -> str:
    if "integer string conversion" in str(error):
        return "it holds an integer of thousands of digits, more than any number type has"
    return str(error)
