"""Numbers as text: shares in percent, the rest with as many decimals as their size deserves.

A `unit` is that of `MetricInfo`: 'share' for percent, '' for a plain number, any other stands behind the number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from headstart.contracts.metric import SHARE
from headstart.pipeline.record import FigureRow


def in_sentence(title: str) -> str:
    """Return a metric's title within a sentence: 'accuracy' and 'macro F1', but 'F1' and 'ROC AUC'."""
    abbreviation = any(sign.isupper() or sign.isdigit() for sign in title.split()[0][1:])
    return title if abbreviation else title[0].lower() + title[1:]


def value_text(unit: str, value: float) -> str:
    """'91.5 %', '0.312' or '4.21 mm'."""
    if unit == SHARE and math.isfinite(value):
        return f"{_digits(100 * value, 1)} %"
    return number_text(value) + _behind(unit, value)


def p_text(p: float) -> str:
    """'p = 0.012', or 'p < 0.001'."""
    return f"p = {p:.3f}" if p >= 0.001 else "p < 0.001"


def figure_text(unit: str, figure: FigureRow) -> str:
    """'91.5 % (87.0–95.1)', or '0.705 (too few examples of 'spam': 2)'; the value alone where nothing is known."""
    interval = interval_text(unit, figure)
    value = value_text(unit, figure.value)
    return f"{value} ({interval})" if interval else value


def interval_text(unit: str, figure: FigureRow) -> str:
    """'87.0–95.1', or '−0.120 to 0.310' where a minus sign would run into the dash; without an interval the reason."""
    if not (math.isfinite(figure.low) and math.isfinite(figure.high)):
        return figure.reason
    if unit == SHARE:
        low, high = _digits(100 * figure.low, 1), _digits(100 * figure.high, 1)
    else:
        low, high = number_text(figure.low), number_text(figure.high)
    return f"{low} to {high}" if min(figure.low, figure.high) < 0 else f"{low}–{high}"


def difference_text(unit: str, figure: FigureRow) -> str:
    """'+2.1 points (+0.3 to +4.0)': signed; differences of shares are in percentage points."""
    value, low, high = (_signed(unit, number) for number in (figure.value, figure.low, figure.high))
    value += " points" if unit == SHARE else _behind(unit, figure.value)
    if not (math.isfinite(figure.low) and math.isfinite(figure.high)):
        return f"{value} ({figure.reason})" if figure.reason else value
    return f"{value} ({low} to {high})"


def spread_text(unit: str, deviation: float) -> str:
    """A standard deviation: '0.6 points' for shares, '0.012' for the rest."""
    if unit == SHARE and math.isfinite(deviation):
        return f"{100 * deviation:.1f} points"
    return number_text(deviation) + _behind(unit, deviation)


def number_text(value: float, *, signed: bool = False) -> str:
    """Three decimals for the usual sizes, fewer for large numbers, a power of ten for tiny ones."""
    size = abs(value)
    if math.isnan(value):
        return "not defined"
    if math.isinf(value):
        return "−∞" if value < 0 else "∞"
    if 0 < size < 0.0005:
        mantissa, exponent = f"{size:.1e}".split("e")
        return f"{_sign(value, signed)}{mantissa}e{_digits(int(exponent), 0)}"
    return _digits(value, _decimals(size), signed=signed)


def seconds_text(seconds: float) -> str:
    """'45 ms', '12.3 s', '3 min 20 s', '1 h'."""
    if not math.isfinite(seconds):
        return "not known"
    if seconds < 0.9995:
        return f"{round(1000 * seconds)} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60:,} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60:,} h"


def parameters_text(count: int) -> str:
    """'640', '12.3 k', '11.2 M', '1.30 G'."""
    for size, unit, decimals in ((1e9, " G", 2), (1e6, " M", 1), (1e3, " k", 1)):
        if count >= size:
            return f"{count / size:.{decimals}f}{unit}"
    return str(count)


def bytes_text(count: int) -> str:
    """'640 B', '4.31 MB', '88.2 MB', '20.0 GB': units are powers of 1000."""
    for size, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= size:
            value = count / size
            return f"{value:,.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"
    return f"{count} B"


def ago_text(seconds: float) -> str:
    """'just now', '5 minutes ago', '1 hour ago', '3 days ago'; a time to come is from a wrong clock."""
    if seconds < -60:
        return "in the future"
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        count = int(seconds // size)
        if count >= 1:
            return f"{count:,} {unit}{'' if count == 1 else 's'} ago"
    return "just now"


def cell_text(unit: str, value: str | float | int | None) -> str:
    """A cell of a table; whole numbers keep all their digits."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if isinstance(value, int) and unit != SHARE:
        return f"{value:,}" + _behind(unit, value)
    return value_text(unit, value)


def column_texts(unit: str, values: Sequence[str | float | int | None]) -> list[str]:
    """The cells of a column, its numbers with the decimals that the largest of them deserves."""
    sizes = [abs(value) for value in values if isinstance(value, float) and math.isfinite(value)]
    if not sizes or unit == SHARE:
        return [cell_text(unit, value) for value in values]
    decimals = _decimals(max(sizes))
    return [
        _digits(value, decimals) + _behind(unit, value)
        if isinstance(value, float) and math.isfinite(value)
        else cell_text(unit, value)
        for value in values
    ]


def setting_text(value: float | int | str) -> str:
    """A chosen setting, short and such that it can be typed again: '0.003', '3e-5', 'cosine'."""
    if not isinstance(value, float):
        return str(value)
    if 0 < abs(value) < 0.00095:
        mantissa, exponent = f"{value:.3e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return f"{value:.4g}"


def moment_text(moment: str) -> str:
    """ISO 8601 -> '21 November 2026, 14:03 UTC'; anything else as it stands."""
    try:
        time = datetime.fromisoformat(moment)
    except ValueError:
        return moment
    return f"{time.day} {time:%B %Y, %H:%M} {time.tzname() or 'UTC'}"


def _behind(unit: str, value: float) -> str:
    return f" {unit}" if unit and unit != SHARE and math.isfinite(value) else ""


def _signed(unit: str, value: float) -> str:
    if unit == SHARE and math.isfinite(value):
        return _digits(100 * value, 1, signed=True)
    return number_text(value, signed=True)


def _decimals(size: float) -> int:
    return 3 if size < 10 else 2 if size < 100 else 1 if size < 1000 else 0


def _digits(value: float, decimals: int, *, signed: bool = False) -> str:
    digits = f"{abs(value):,.{decimals}f}"
    shown_as_zero = not any(digit in "123456789" for digit in digits)
    return digits if shown_as_zero else _sign(value, signed) + digits


def _sign(value: float, signed: bool) -> str:
    return "−" if value < 0 else "+" if signed else ""
