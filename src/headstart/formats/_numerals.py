"""Numbers in the text of a cell: plain ones, and those with separators, signs of currency or per cent.

`12`, `-1.5`, `1e5` are plain. `8,3`, `1.234,56`, `1,234.56`, `$9,045`, `€ 12`, `12 %` mean a number once the decimal
sign is known: `1,234` is two different ones.
"""

from __future__ import annotations

import re
from typing import Literal

DecimalSign = Literal["auto", "point", "comma"]

_PLAIN = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_AFFIX = r"[$€£¥₹₽₩₺₴₫฿¢%‰]|USD|EUR|GBP|CHF|JPY|CNY|INR|AUD|CAD|SEK|NOK|DKK|PLN|BRL|Rs\.?|kr\.?|zł"
_DECORATED = re.compile(
    rf"(?P<sign>[+-]?)\s*(?P<before>{_AFFIX})?\s*(?P<minus>-?)(?P<body>[0-9.,][0-9.,'’\s]*)(?P<after>{_AFFIX})?"
)
_GROUPED = {
    "point": re.compile(
        r"[1-9][0-9]{0,2}((,[0-9]{2})*,[0-9]{3}|(['’\s][0-9]{3})+)(\.[0-9]+)?|[0-9]+(\.[0-9]*)?|\.[0-9]+"
    ),
    "comma": re.compile(r"[1-9][0-9]{0,2}((\.[0-9]{3})+|(['’\s][0-9]{3})+)(,[0-9]+)?|[0-9]+(,[0-9]*)?|,[0-9]+"),
}
"""Decimal sign -> the digits of a number; groups of two, as in 1,00,000, are Indian."""

_NO_VALUE = frozenset(
    {"na", "n/a", "n.a.", "#n/a", "#na", "nan", "null", "none", "nil", "<na>", "nat", "-", "--", "?", "."}
)


def is_no_value(text: str) -> bool:
    """Return whether a text is a word that often stands for a missing value, such as 'NA' or '?'."""
    return text.strip().lower() in _NO_VALUE


def is_plain(text: str) -> bool:
    """Return whether a text is a number as programs write it."""
    return _PLAIN.fullmatch(text.strip()) is not None


def number_in(text: str, decimal: DecimalSign) -> float | None:
    """Return the number that a text holds with this decimal sign, None where it holds none; 'auto' takes plain ones."""
    text = text.strip().replace("−", "-")
    if decimal != "comma" and _PLAIN.fullmatch(text):
        return float(text)
    if decimal == "auto":
        return None
    found = _DECORATED.fullmatch(text)
    if found is None or not _GROUPED[decimal].fullmatch(found["body"].rstrip()) or (found["sign"] and found["minus"]):
        return None
    digits = re.sub(r"['’\s]" + (r"|\." if decimal == "comma" else "|,"), "", found["body"]).replace(",", ".")
    return float(digits) * (-1.0 if "-" in (found["sign"], found["minus"]) else 1.0)


def signs_of(text: str) -> set[DecimalSign]:
    """Return the decimal signs with which a text is a number."""
    signs: tuple[DecimalSign, ...] = ("point", "comma")
    return {sign for sign in signs if number_in(text, sign) is not None}


def affix_of(text: str) -> str:
    """Return the sign of currency or per cent beside a number, '' where there is none."""
    found = _DECORATED.fullmatch(text.strip().replace("−", "-"))
    return "" if found is None else found["before"] or found["after"] or ""
