"""Which column is what: what the user named, else what names and values make plain, else an error that lists them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from headstart.contracts.format import Columns
from headstart.formats import _column_kinds as kinds
from headstart.formats._language_files import SOURCES, is_language
from headstart.formats._numerals import DecimalSign
from headstart.formats._parts import PART_COLUMN, part_of
from headstart.formats._rows import is_text
from headstart.formats._sound_columns import sound_roles
from headstart.formats._table_columns import EMPTY, PATHS, PROSE, UNIQUE, TableColumns, listed, table_columns
from headstart.kernel.errors import DataError, unknown

_LABELS = (
    ("label", "labels"),
    ("label_name", "label_text", "class_label", "class_name", "gold_label"),
    ("class", "category", "target", "y", "class index"),
    (
        *("stars", "star_rating", "rating", "score", "sentiment", "emotion", "intent", "topic", "stance", "diagnosis"),
        *("polarity", "airline_sentiment", "is_duplicate", "is_spam", "is_toxic", "genre"),
    ),
    ("spans", "entities"),
)
"""Names of a target, the surest first; two of one tier are ambiguous."""
_TEXTS = (
    *("text", "sentence", "review", "review_text", "content", "message", "tweet", "comment", "body", "document"),
    *("comment_text", "review_body", "reviewtext", "question_text", "tweet_text", "utterance", "headline", "sms"),
)
_NAMELESS = re.compile(r"unnamed: ?\d+|")
_PARTS = ("split", "part", "fold", "set", "subset")
FEWEST_OF_TABLE, RUNNING_WORDS = 3, 8
"""Other columns from which short texts, such as names, are taken for one column of a table, and words that are not."""
_CLEARLY_LONGER = 2.0
"""How many times longer than any other the values of the text column must be when nothing else tells."""


class Inputs(NamedTuple):
    """The input of an example."""

    modality: str
    columns: tuple[str, ...]
    types: Mapping[str, pa.DataType] = {}
    """Column -> what its values are read as; one that is not here as it is."""
    notes: tuple[str, ...] = ()
    texts: int = 1
    """As of a `Schema`."""


@dataclass(frozen=True)
class Roles:
    """Which column is what."""

    inputs: Inputs
    label: str | None
    part: str | None
    group: str | None
    domain: str | None
    slices: tuple[str, ...]
    transcribed: bool = False
    """Whether the label is what is said in a sound."""


def named_columns(columns: Columns, present: Sequence[str], *, labelled: bool) -> Columns:
    """The user's columns, checked. Without labels only the inputs must be there.

    Raises:
        DataError: a column is missing; the nearest name is given.
    """
    cells = [(kind, name) for kind in ("numeric", "categorical", "date") for name in getattr(columns, kind)]
    if len(columns.text) > 2 and not cells:
        raise DataError(f"--text was given {len(columns.text)} times: one text column is possible, or two for pairs")
    beside = [f"--{cells[0][0]}"] if cells else ["--text"] if columns.text else []
    given = [*beside, *(["--image"] if columns.image else [])]
    if len(given) > 1:
        raise DataError(f"{' and '.join(given)} exclude each other: an example has one kind of input")
    inputs = [*(("text", name) for name in columns.text), *cells]
    inputs += [("image", columns.image)] if columns.image else []
    others = [("label", columns.label), ("group", columns.group), ("domain", columns.domain), ("part", columns.part)]
    others += [*(("label", name) for name in columns.labels), *(("slice", name) for name in columns.slices)]
    known = set(present)
    for flag, name in [*inputs, *(others if labelled else [])]:
        if name is not None and name not in known:
            if columns.only and (flag, name) in cells:
                raise DataError(f"the model learnt from the column {name!r}: {unknown('column', name, present)}")
            raise DataError(f"--{flag} {name}: " + unknown("column", name, present))
    if labelled:
        return columns
    kept = {role: name for role, name in others if role not in ("slice", "label") and name in present}
    kept |= {"label": columns.label} if columns.label in present else {}
    slices = tuple(name for name in columns.slices if name in present)
    chosen = columns.model_dump(include={"text", "image", "numeric", "categorical", "date", "leave_out", "only"})
    return Columns(**chosen, slices=slices, **kept)


def recognise(
    table: pa.Table,
    columns: Columns,
    root: str,
    *,
    labelled: bool,
    decimal: DecimalSign = "auto",
    every: bool = False,
    sounds: str | None = None,
) -> Roles:
    """Find the role of every column that has one.

    Args:
        table: the data, or the beginning of them.
        columns: what the user named, checked by `named_columns`.
        root: folder that image paths start from.
        labelled: whether a label must be found.
        decimal: of the numbers in columns of text.
        every: whether all columns are inputs but those that are named for something else.
        sounds: the column of sounds that the user named.

    Raises:
        DataError: nothing makes it plain; the columns are listed with the flags that decide.
    """
    given = PART_COLUMN if PART_COLUMN in table.column_names else None
    part = columns.part or given or (None if every else _part(table))
    if labelled and not every and (two := _two_languages(table, columns, part)) is not None:
        told = f"the text is read from column '{two[0]}' and that to write from '{two[1]}'"
        told += "; --text and --label say otherwise"
        return Roles(_texts(two[0], notes=(told,)), two[1], part, columns.group, columns.domain, columns.slices)
    candidates = label_candidates(_own(table), columns)
    if (found := sound_roles(table, root, columns, sounds, candidates, labelled=labelled)) is not None:
        label = found.label if found.transcribed else _label(table, root, columns, labelled)
        heard = Inputs("audio", (found.sound,), notes=found.notes)
        return Roles(heard, label, part, found.group, columns.domain, columns.slices, found.transcribed)
    guess = sole_label(table, columns) if labelled and not candidates else None
    label = columns.label if every and not labelled else guess or _label(table, root, columns, labelled)
    taken = {label, part, columns.group, columns.domain, *columns.slices}
    inputs = _named_inputs(table, columns, taken, every=every)
    if inputs is None:
        choose = _all_inputs if every else _inputs
        inputs = choose(table, root, columns, taken, decimal)
    if guess is not None:
        inputs = inputs._replace(notes=(f"the label is read from column '{guess}'", *inputs.notes))
    return Roles(inputs, label, part, columns.group, columns.domain, columns.slices)


def _two_languages(table: pa.Table, columns: Columns, part: str | None) -> tuple[str, str] | None:
    """The columns of texts in two languages, the one that is read first, where these are all there is to read."""
    if columns.named() or columns.label or columns.labels:
        return None
    other = {part, columns.group, columns.domain, *columns.slices, *columns.leave_out}
    free = [name for name in _own(table) if name not in other]
    if len(free) != 2 or not all(is_language(name) and is_text(table.column(name).type) for name in free):
        return None
    one, two = free if free[1] not in SOURCES or free[0] in SOURCES else free[::-1]
    return one, two


def _own(table: pa.Table) -> list[str]:
    return [name for name in table.column_names if not name.startswith("__")]


def _part(table: pa.Table) -> str | None:
    for name in _own(table):
        if name.strip().lower() in _PARTS and is_text(table.column(name).type):
            values = pc.unique(table.column(name)).to_pylist()
            if any(part_of(value) == "train" for value in values) and all(part_of(value) for value in values if value):
                return name
    return None


def label_candidates(names: Sequence[str], columns: Columns) -> list[str]:
    """The columns that may be the label: the user's, or those of the surest names that there are."""
    if columns.label is not None:
        return [columns.label]
    inputs = {*columns.text, columns.image, *columns.numeric, *columns.categorical, *columns.date}
    free = {name.strip().lower(): name for name in names if name not in inputs}
    tiers = ([free[name] for name in tier if name in free] for tier in _LABELS)
    return next((found for found in tiers if found), [])


def is_label_name(name: str) -> bool:
    """Return whether a column is called as labels are."""
    return any(name.strip().lower() in tier for tier in _LABELS)


def sole_label(table: pa.Table, columns: Columns) -> str | None:
    """The one column beside a text or picture whose values repeat, where no other could be the label."""
    named = [*columns.text, *filter(None, [columns.image])]
    other = {columns.group, columns.domain, columns.part, *columns.slices, *columns.leave_out}
    free = [name for name in _own(table) if name not in other and _may_matter(name, table.column(name))]
    if not named:
        inputs = [name for name in free if kinds.is_prose(table.column(name))]
        named = sorted(inputs, key=lambda name: -kinds.mean_length(table.column(name)))[:1]
    rest = [name for name in free if name not in named]
    if not named or len(rest) != 1 or not set(named) <= {*free}:
        return None
    column = table.column(rest[0])
    whole = is_text(column.type) or pa.types.is_integer(column.type) or pa.types.is_boolean(column.type)
    return rest[0] if whole and 1 < pc.count_distinct(column).as_py() <= len(column) / 2 else None


def _may_matter(name: str, column: pa.ChunkedArray) -> bool:
    """False for what names rows, and for columns that have no name of their own, as pandas and Excel call them."""
    return not (kinds.is_identifier(name, column) or _NAMELESS.fullmatch(name.strip().lower()))


def _label(table: pa.Table, root: str, columns: Columns, labelled: bool) -> str | None:
    found = label_candidates(_own(table), columns)
    if len(found) == 1:
        return found[0]
    if not labelled:
        return None
    what = f"the columns {' and '.join(found)} could each be the label" if found else "no column is plainly the label"
    raise DataError(f"{what}. Say which with --label COLUMN.\n{kinds.listing(table, root)}")


def _images(column: str) -> Inputs:
    return Inputs("image", (column,))


def _texts(*columns: str, notes: tuple[str, ...] = ()) -> Inputs:
    return Inputs("text", columns, dict.fromkeys(columns, pa.string()), notes)


def _cells(found: TableColumns, notes: tuple[str, ...], texts: Sequence[str] = ()) -> Inputs:
    kinds = {"numeric": pa.float64(), "categorical": pa.string(), "date": pa.timestamp("us")}
    types = {name: kind for role, kind in kinds.items() for name in getattr(found, role)}
    if not texts:
        return Inputs("table", found.names, types, notes)
    types |= dict.fromkeys(texts, pa.string())
    told = f"the text is read from column{'s' if len(texts) > 1 else ''} {listed(texts)}"
    return Inputs("text_table", (*texts, *found.names), types, (told, *notes), len(texts))


def _named_inputs(table: pa.Table, columns: Columns, taken: set[str | None], *, every: bool) -> Inputs | None:
    if columns.image:
        return _images(columns.image)
    found = TableColumns(columns.numeric, columns.categorical, columns.date)
    if columns.text and not found.names and (columns.only or not every):
        return _texts(*columns.text)
    if not columns.only and (every or not (columns.numeric or columns.text)):
        return None
    unused = [name for name in _own(table) if name not in {*columns.text, *found.names, *taken, *columns.leave_out}]
    notes = (f"columns that are not inputs: {listed(unused)}",) if unused else ()
    inputs = _cells(found, notes, columns.text)
    return inputs._replace(notes=notes) if columns.only else inputs


def _all_inputs(table: pa.Table, root: str, columns: Columns, taken: set[str | None], decimal: DecimalSign) -> Inputs:
    """Every column that is not taken: texts, and numbers, categories and dates beside them."""
    free = [name for name in _own(table) if name not in {*taken, *columns.leave_out}]
    if any(kinds.holds_images(table.column(name), root) for name in free):
        return _inputs(table, root, columns, taken, decimal)
    found = table_columns(table, [name for name in free if name not in columns.text], columns, decimal)
    prose = [name for name, why in found.left.items() if why == PROSE]
    plain = [name for name, why in found.left.items() if why == UNIQUE and not found.names]
    texts = [name for name in free if name in {*columns.text, *(prose or plain)}]
    left = {name: why for name, why in found.left.items() if name not in texts}
    if texts and not found.names:
        return _texts(*texts)
    return _cells(found._replace(left=left), found._replace(left=left).notes(table), texts)


def _inputs(table: pa.Table, root: str, columns: Columns, taken: set[str | None], decimal: DecimalSign) -> Inputs:
    free = [name for name in _own(table) if name not in {*taken, *columns.leave_out}]
    images = [name for name in free if kinds.holds_images(table.column(name), root)]
    if len(images) == 1:
        return _images(images[0])
    if len(images) > 1:
        raise _ambiguous(table, root, f"the columns {' and '.join(images)} all hold images", "--image COLUMN")
    lower = {name.strip().lower(): name for name in free if is_text(table.column(name).type)}
    named = next((lower[name] for name in _TEXTS if name in lower), None)
    found = table_columns(table, free, columns, decimal)
    asked = columns.categorical or columns.date
    if named is not None and not asked:
        return _texts(named, notes=(f"the text is read from column '{named}'", *_unused(found, named)))
    texts = [] if asked else _text_candidates(table, found, list(lower.values()))
    if texts:
        text = _longest(table, root, texts)
        return _texts(text, notes=(f"the text is read from column '{text}'", *_unused(found, text)))
    if found.names:
        return _cells(found, found.notes(table))
    if found.faults:
        name, why = next(iter(found.faults.items()))
        raise DataError(f"no column is plainly the input. Column '{name}': {why}.\n{kinds.listing(table, root)}")
    raise _ambiguous(table, root, "no column is plainly the input", "--text COLUMN or --image COLUMN")


def _unused(found: TableColumns, text: str) -> tuple[str, ...]:
    """A note on what a text alone leaves out."""
    names = [name for name in found.names if name != text]
    flags = "name them beside --text, or add --set format.inputs=all"
    return (f"columns not used beside the text: {listed(names)}; {flags} to use both",) if names else ()


def _text_candidates(table: pa.Table, found: TableColumns, strings: Sequence[str]) -> list[str]:
    """Columns of which one is the text; none where the columns are a table with words in it."""
    prose = [name for name in strings if found.left.get(name) == PROSE]
    if len(found.names) >= FEWEST_OF_TABLE:
        prose = [name for name in prose if kinds.mean_words(table.column(name)) >= RUNNING_WORDS]
    if found.numeric or prose or len(found.categorical) > 1:
        return prose
    left = {*found.faults, *(name for name, why in found.left.items() if why in (PATHS, EMPTY))}
    return [name for name in strings if name not in left]


def _longest(table: pa.Table, root: str, strings: Sequence[str]) -> str:
    ordered = sorted(strings, key=lambda name: -kinds.mean_length(table.column(name)))
    if len(ordered) > 1:
        longest, second = (kinds.mean_length(table.column(name)) for name in ordered[:2])
        if longest < _CLEARLY_LONGER * second:
            what = f"the columns {ordered[0]} and {ordered[1]} could each be the text"
            raise _ambiguous(table, root, what, "--text COLUMN, or both for pairs")
    return ordered[0]


def _ambiguous(table: pa.Table, root: str, what: str, flags: str) -> DataError:
    return DataError(f"{what}. Say which with {flags}.\n{kinds.listing(table, root)}")
