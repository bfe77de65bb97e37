"""Text as labels: lists in any notation, numbers where every cell is one, names with a separator, and single names.

Where most cells but not all can be read in one way, or all of them in two, the column is refused with the setting that
decides.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from headstart.formats._label_column import LabelColumn, Labels, name_of
from headstart.formats._literals import is_bracketed, parse_cell
from headstart.formats._numerals import DecimalSign, affix_of, is_no_value, is_plain, number_in, signs_of
from headstart.kernel.spelling import nfc, one_spelling
from headstart.numerics.few_values import are_few

SEPARATORS = ("|", ";", ",", "#")
"""What may stand between names, the surest first."""

OFTEN = 0.02
"""Share of the cells that must name several labels for a separator to be one."""
TEXTS = 0.9
"""Share of different cells from which they are texts, such as translations, and no names."""

MOST_DIGITS = 15
"""Digits that a floating-point number holds for certain: a whole number of more identifies something."""

_VECTOR = re.compile(r"\s*[01](\s*[,;|\s]\s*[01]){2,}\s*")

_AS_NAMES = "--set format.labels=names takes every cell for a name"


def lists_in(column: LabelColumn) -> LabelColumn | None:
    """The lists that the texts hold; None where texts are meant. Raises DataError where only some cells hold lists."""
    counts = Counter(column.known())
    if column.form in ("names", "numbers"):
        return None
    if not any(map(is_bracketed, counts)):
        return _bare_lists(column, counts)
    found, faults = {}, {}
    for cell in counts:
        try:
            found[cell] = parse_cell(cell)
        except ValueError as error:
            faults[cell] = str(error)
    if not any(found.values()):
        unquoted = _unquoted_lists(column)
        if unquoted is not None or not found:
            return unquoted
    listed, total = sum(counts[cell] for cell in found), sum(counts.values())
    words = [cell for cell in faults if is_no_value(cell)]
    left = [cell for cell in faults if cell not in words]
    if left and 2 * listed < total:
        column.say(
            f"{listed} of {total} cells look like lists, such as {column.first(found.__contains__)}; all are names"
        )
        return None
    if left:
        raise column.refusal(
            f"{column.first(lambda cell: cell == left[0])} cannot be read as a list, as {listed} of {total} cells can: "
            f"{faults[left[0]]}. Write all in one way; {_AS_NAMES}."
        )
    if words:
        column.say(f"{sum(counts[word] for word in words)} cells, such as '{words[0]}', have no label")
    return replace(column, cells=[found.get(cell) for cell in column.cells])


def read_texts(column: LabelColumn) -> Labels:
    """Read a column of texts that are not lists. Raises DataError."""
    counts = Counter(column.known())
    if column.form == "names":
        return Labels(pa.array(column.cells, pa.string()), form="names")
    if column.form == "vectors":
        raise column.refusal(f"--set format.labels=vectors asks for lists of 0 and 1, unlike {column.first()}")
    numbers = None if column.form == "sets" else _numbers(column, counts)
    return numbers or _names(column, counts)


def _bare_lists(column: LabelColumn, counts: Mapping[str, int]) -> LabelColumn | None:
    """Lists without brackets, such as 'red', 'blue', or 0|1|0."""
    if counts and all(map(_VECTOR.fullmatch, counts)):
        return replace(column, cells=[cell and [int(one) for one in cell if one in "01"] for cell in column.cells])
    if not all(cell.strip()[0] in "'\"" and cell.strip()[-1] in "'\"" for cell in counts):
        return None
    try:
        found = {cell: parse_cell(f"[{cell}]") for cell in counts}
    except ValueError:
        return None
    several = any(len(items) > 1 for items in found.values())
    return replace(column, cells=[found.get(cell) for cell in column.cells]) if several else None


def _unquoted_lists(column: LabelColumn) -> LabelColumn | None:
    """Lists such as [red, blue], without quotation marks."""
    inner = [None if cell is None else cell.strip()[1:-1] for cell in column.cells]
    brackets = {cell.strip()[0] + cell.strip()[-1] for cell in column.known()}
    if not (brackets <= {"[]", "()", "{}"} and _separates(",", [cell for cell in inner if cell is not None])):
        return None
    return replace(column, cells=[None if cell is None else _parts(cell, ",") for cell in inner])


def _numbers(column: LabelColumn, counts: Mapping[str, int]) -> Labels | None:
    """Numbers, if every cell is one; None for names. Raises DataError where most are, or all in two notations."""
    words = [cell for cell in counts if is_no_value(cell)]
    cells = [cell for cell in counts if not is_no_value(cell)]
    total = sum(counts[cell] for cell in cells)
    plain = all(map(is_plain, cells))
    sign: DecimalSign = "auto"
    if plain:
        if not cells or (column.form == "auto" and _are_identifiers(column, cells, total)):
            return None
    else:
        signs = {cell: signs_of(cell) for cell in cells}
        if not all(signs.values()):
            _require_names(column, counts, signs)
            return None
        sign = _decimal_sign(column, signs, total)
        shown = column.first(lambda cell: not is_plain(cell) and not is_no_value(cell))
        column.say(f"{total} of {total} cells are numbers; {shown} is read with a decimal {sign}")
    if words:
        left = sum(counts[word] for word in words)
        column.say(f"{total} of {left + total} cells are numbers; {left}, such as '{words[0]}', have no label")
    labels = _as_numbers(column, {cell: number_in(cell, sign) for cell in cells})
    return labels if plain else labels._replace(form="numbers", decimal=sign)


def _as_numbers(column: LabelColumn, values: Mapping[str, float | None]) -> Labels:
    numbers: list[int | float | None] = [values.get(cell) for cell in column.cells]
    if all(re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", cell) for cell in values):
        numbers = [int(cell) if cell in values else None for cell in column.cells]
    whole = all(value is None or value.is_integer() for value in values.values())
    if whole and len(set(values.values())) < len(values):
        column.say("some numbers are written in several ways, such as 1 and 1.0, and count as one")
        return Labels(pa.array(numbers))
    texts = [None if number is None else cell for cell, number in zip(column.cells, numbers)]
    same = all(number is None or name_of(number) == text for number, text in zip(numbers, texts))
    return Labels(pa.array(numbers), None if same else pa.array(texts, pa.string()))


def _require_names(column: LabelColumn, counts: Mapping[str, int], signs: Mapping[str, set[DecimalSign]]) -> None:
    """Say that some of the names are numbers. Raises DataError where so many are that quantities must be meant."""
    numbers = [cell for cell in signs if signs[cell]]
    total, numeric = sum(counts[cell] for cell in signs), sum(counts[cell] for cell in numbers)
    strange = [cell for cell in signs if not signs[cell]]
    asked = column.form == "numbers"
    units = {
        found and found[1] for found in (re.fullmatch(r"[+-]?[0-9.,]+\s*([^\W\d_]+|°\w?)", cell) for cell in signs)
    }
    if len(units) == 1 and units != {None} and not are_few(len(signs), total):
        raise column.refusal(
            f"all cells are numbers of {units.pop()}, such as {column.first()}. Write them without it; {_AS_NAMES}."
        )
    if not (strange and (asked or (numbers and not all(re.fullmatch(r"[0-9\s|;,#]+", cell) for cell in strange)))):
        return
    shown = column.first(lambda cell: cell == strange[0])
    what = f"{numeric} of {total} cells are numbers, {total - numeric} are not, such as {shown}"
    if asked or (2 * numeric >= total and not are_few(len(numbers), numeric)):
        raise column.refusal(f"{what}. Correct them, or leave them empty where there is no number; {_AS_NAMES}.")
    column.say(f"{what}; all are taken for names")


def _are_identifiers(column: LabelColumn, cells: Sequence[str], total: int) -> bool:
    """Return whether plain numbers are names: their type says so, or their spelling tells more than a number."""
    texts, few = [cell.strip() for cell in cells], are_few(len(cells), total)
    values = {float(text) for text in texts}
    padded = [text for text in texts if re.match(r"[+-]?0[0-9]", text)]
    long = [text for text in texts if re.fullmatch(r"[+-]?[0-9]+", text) and len(text) > MOST_DIGITS]
    if column.typed:
        why = "" if few else "its text reads as numbers"
    elif padded:
        why = f"numbers such as '{padded[0]}' have leading zeros"
    elif long:
        why = f"numbers such as '{long[0][:40]}' are too long to be quantities"
    elif few and len(values) < len(texts) and not all(value.is_integer() for value in values):
        why = "one number is written in several ways, such as 1.1 and 1.10"
    else:
        return False
    if why:
        column.say(f"{why}, so the cells are taken for names; --set format.labels=numbers reads numbers")
    return True


def _decimal_sign(column: LabelColumn, signs: Mapping[str, set[DecimalSign]], total: int) -> DecimalSign:
    """The decimal sign of all cells. Raises DataError where there is none, or more than one is possible."""
    settle = "Say which with --set format.decimal=point or --set format.decimal=comma"
    affixes = sorted({affix_of(cell) for cell in signs} - {""})
    if len(affixes) > 1:
        raise column.refusal(
            f"the cells are numbers with {' and with '.join(affixes)}. Write all in one unit; {_AS_NAMES}."
        )
    plain = [cell for cell in signs if not affix_of(cell)]
    if affixes and affixes[0] in "%‰" and plain:
        shown = column.first(lambda cell: cell == plain[0])
        raise column.refusal(f"some numbers have the sign {affixes[0]}, and not {shown}; {_AS_NAMES}.")
    if column.decimal != "auto":
        odd = [cell for cell in signs if column.decimal not in signs[cell]]
        if odd:
            shown = column.first(lambda cell: cell == odd[0])
            raise column.refusal(
                f"{shown} is not a number with a decimal {column.decimal}, as --set format.decimal says"
            )
        return column.decimal
    fits = set[DecimalSign]({"point", "comma"}).intersection(*signs.values())
    shown = column.first(lambda cell: not is_plain(cell))
    if not fits:
        commas = column.first(lambda cell: signs.get(cell) == {"comma"})
        points = column.first(lambda cell: signs.get(cell) == {"point"})
        raise column.refusal(f"some numbers have a decimal comma, {commas}, others a point, {points}; {_AS_NAMES}.")
    if len(fits) == 2 and any(number_in(cell, "point") != number_in(cell, "comma") for cell in signs):
        raise column.refusal(f"{shown} is a different number with a decimal point and with a decimal comma. {settle}.")
    if fits == {"comma"} and column.form == "auto" and _could_be_sets(signs, total):
        raise column.refusal(
            f"{shown} is a number with a decimal comma, or two class numbers. --set format.decimal=comma or "
            "--set format.labels=sets decides."
        )
    return "point" if "point" in fits else "comma"


def _could_be_sets(cells: Sequence[str] | Mapping[str, object], total: int) -> bool:
    """Return whether decimal commas could separate the numbers of few classes."""
    parts = {part.strip() for cell in cells for part in cell.split(",")}
    return all(re.fullmatch(r"0|[1-9][0-9]*", part) for part in parts) and are_few(len(parts), total)


def _names(column: LabelColumn, counts: Mapping[str, int]) -> Labels:
    """Single names, or several with a separator between them."""
    known = column.known()
    there = [one for one in SEPARATORS if any(one in cell for cell in counts)]
    separator = next((one for one in there if column.form == "sets" or _separates(one, known)), "")
    several = sum((separator or there[0]) in cell for cell in known) if there else 0
    if separator:
        column.say(f"{several} of {len(known)} cells name several labels with '{separator}' between them; {_AS_NAMES}")
    elif several > OFTEN * len(known) and len(counts) < TEXTS * len(known):
        column.say(
            f"'{there[0]}' in {several} of {len(known)} cells is part of a name; --set format.labels=sets splits there"
        )
    words = [cell for cell in counts if is_no_value(cell)]
    if words:
        number, said = sum(counts[word] for word in words), ", ".join(map(repr, words))
        column.say(f"{number} cells say {said}, taken for a class; leave them empty for no label")
    names = {cell: _parts(cell, separator) if separator else [cell] for cell in counts}
    called = one_spelling(name for some in names.values() for name in some)
    composed = {cell: nfc(cell) for cell, some in names.items() if not called.keys().isdisjoint(some)}
    if composed:
        column.say(f"{sum(counts[cell] for cell in composed)} cells had their accents in two forms and are read in one")
    texts = pa.array([composed.get(cell, cell) for cell in column.cells], pa.string())
    return Labels(texts, separator=separator, form="sets" if separator else "names")


def _separates(separator: str, cells: Sequence[str]) -> bool:
    """Return whether a separator stands between names: then several cells share parts.

    Commas and hashes may be parts of names, as in 'Salem, Oregon': there the parts must be fewer than the cells.
    """
    combined = {tuple(_parts(cell, separator)) for cell in cells}
    several = sum(len(_parts(cell, separator)) > 1 for cell in cells)
    uses = Counter(part for some in combined for part in set(some))
    if several < max(1.0, OFTEN * len(cells)):
        return False
    return len(uses) < len(combined) if separator in ",#" else max(uses.values()) > 1


def _parts(cell: str, separator: str) -> list[str]:
    return [part.strip() for part in cell.split(separator) if part.strip()]
