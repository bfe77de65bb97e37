"""Several data sets as one, each of which is a domain."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.format import Columns
from headstart.contracts.modality import InFiles, modality_named
from headstart.kernel.errors import DataError, SettingsError, some
from headstart.media.images import SUFFIXES
from headstart.pipeline.data import NO_SETTINGS, EachATask, Several, read_examples
from headstart.pipeline.joint_data import as_tasks, columns_of_tasks, whole_path

DOMAIN_COLUMN, ORIGIN_COLUMN = "data set", "origin in data set"
"""Columns that are added: the name of the data set, and where an example came from in it."""

FREE = frozenset(("root", "part", "domain", "origin", "label_form", "decimal"))
"""Fields of a schema in which data sets may differ."""

CLASSES = (pa.types.is_string, pa.types.is_large_string, pa.types.is_boolean, pa.types.is_integer)
"""Types of labels that may name classes."""

MOST_CLASSES = 1000
"""Different labels from which on they are taken for numbers or masks, of which nothing is said."""


def several(data: Any) -> bool:
    """Return whether data are several data sets: a list of folders, tables or frames, and not one of pictures."""
    if not isinstance(data, (list, tuple)) or len(data) < 2:
        return False
    frames = [isinstance(one, pd.DataFrame) for one in data]
    paths = [isinstance(one, (str, Path)) and Path(one).suffix.lower() not in SUFFIXES for one in data]
    return all(frames) or (any(frames) and all(map(any, zip(frames, paths)))) or (all(paths) and all(map(_there, data)))


def read_given(
    data: Any, columns: Columns, *, format: str | None = None, settings: Mapping[str, Any] = NO_SETTINGS
) -> tuple[Examples, str]:
    """Read labelled data as `read_examples` does; `Several` data sets one by one, and put them together.

    Returns:
        The examples, whose domain is their data set where there are several, and what was seen, in words.

    Raises:
        DataError: one cannot be read, or they have other columns or no classes in common. SettingsError: another column
            is to name the domain.
    """
    if not isinstance(data, Several):
        return read_examples(data, columns, format=format, settings=settings)
    return _read_several(data, columns, format, settings)


def _read_several(
    sources: Several, columns: Columns, format: str | None, settings: Mapping[str, Any]
) -> tuple[Examples, str]:
    if columns.domain is not None:
        raise SettingsError(f"--domain {columns.domain}: each of several data sets is a domain. Leave it out.")
    names = names_of(sources)
    joint = isinstance(sources, EachATask)
    asked = columns_of_tasks(columns, names) if joint else [columns] * len(names)
    found = [read_examples(source, own, format=format, settings=settings) for source, own in zip(sources, asked)]
    each = dict(zip(names, (examples for examples, _ in found)))
    each = as_tasks(each) if joint else each
    first = each[names[0]]
    for name in names[1:]:
        _require_alike(names[0], first.schema, name, each[name].schema)
    parts = [examples.schema.part for examples in each.values()]
    part = parts[0] if None not in parts and len(set(parts)) == 1 else None
    notes = [f"{name}: {note}" for name, examples in each.items() for note in examples.notes]
    if part is None and any(parts):
        notes.append("The given split is not used, as not all data sets have one in the same column")
    changed = {"root": "", "part": part, "domain": None if joint else DOMAIN_COLUMN, "origin": ORIGIN_COLUMN}
    schema = first.schema.model_copy(update=changed)
    table = _joined([_marked(examples, name, schema) for name, examples in each.items()])
    words = "; ".join(f"{name} ({len(examples):,}): {seen}" for name, (examples, seen) in zip(names, found))
    seen = f"{len(names)} data sets, each a {'task' if joint else 'domain'}: {words}"
    return Examples(table, schema, (*notes, *_about_classes(each))), seen


def names_of(sources: Sequence[Any]) -> list[str]:
    """Return a short name for each data set: the end of its path as far as it tells it from the others."""
    paths = [Path(one).expanduser().absolute().parts if isinstance(one, (str, Path)) else None for one in sources]
    for length in range(1, 1 + max((len(path) for path in paths if path), default=1)):
        found = [f"data {n + 1}" if path is None else os.sep.join(path[-length:]) for n, path in enumerate(paths)]
        if length == 1:
            found = [name if path is None else Path(name).stem for name, path in zip(found, paths)]
        if len(set(found)) == len(found):
            return found
    twice = next(one for one, path in zip(sources, paths) if path is not None and paths.count(path) > 1)
    raise DataError(f"the data set {twice} is given twice")


def _there(path: Any) -> bool:
    try:
        return Path(path).expanduser().exists()
    except (OSError, ValueError):
        return False


def _require_alike(one: str, first: Schema, other: str, second: Schema) -> None:
    """Refuse data sets with other columns. Raises DataError, which names what differs."""
    for field in sorted(type(first).model_fields.keys() - FREE):
        mine, theirs = getattr(first, field), getattr(second, field)
        if mine == theirs:
            continue
        if field == "inputs" and {*mine} & {*theirs}:
            extra = sorted({*mine} ^ {*theirs})
            raise DataError(
                f"only one of the data sets {one} and {other} has the input columns {some(extra)}. Give --leave-out"
                " with each, or rename them."
            )
        raise DataError(
            f"the data sets {one} and {other} cannot be put together: their {field} are {mine or 'none'} and"
            f" {theirs or 'none'}. Give them the same columns, or name these (--text, --image, --label)."
        )


def _marked(examples: Examples, name: str, schema: Schema) -> pa.Table:
    """The table with its domain and origins, whole paths, and groups that are no other data set's."""
    table, rows = examples.table, len(examples)
    mine = examples.schema
    if isinstance(modality_named(mine.modality), InFiles):
        for column in dict.fromkeys((mine.inputs[0], *mine.targets.values())):
            if _is_text(table, column):
                needed = column == mine.inputs[0]
                cells = [whole_path(mine.root, cell, needed=needed) for cell in examples.column(column)]
                table = _with(table, column, pa.array(cells, pa.string()))
    if mine.group is not None and mine.group not in (*mine.inputs, *mine.targets.values()):
        groups = [None if group is None else f"{name}: {group}" for group in examples.column(mine.group)]
        table = _with(table, mine.group, pa.array(groups, pa.string()))
    origins = [f"{name}{os.sep}{origin}" for origin in examples.origins()]
    table = _with(table, ORIGIN_COLUMN, pa.array(origins, pa.string()))
    kept = [column for column in table.column_names if column != mine.part or schema.part is not None]
    return _with(table.select(kept), DOMAIN_COLUMN, pa.array([name] * rows, pa.string()))


def _is_text(table: pa.Table, column: str) -> bool:
    kind = table.schema.field(column).type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _with(table: pa.Table, column: str, values: pa.Array) -> pa.Table:
    if column in table.column_names:
        return table.set_column(table.column_names.index(column), column, values)
    return table.append_column(column, values)


def _joined(tables: Sequence[pa.Table]) -> pa.Table:
    """The rows of all tables; columns of different types become text. Raises DataError where they cannot."""
    for column in dict.fromkeys(name for table in tables for name in table.column_names):
        kinds = {table.schema.field(column).type for table in tables if column in table.column_names}
        numbers = all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in kinds)
        if len(kinds) > 1 and not numbers:
            try:
                tables = [
                    _with(t, column, pc.cast(t.column(column), pa.string())) if column in t.column_names else t
                    for t in tables
                ]
            except pa.ArrowException as error:
                raise DataError(f"the column {column} has values of different kinds in the data sets") from error
    try:
        return pa.concat_tables(tables, promote_options="permissive").combine_chunks()
    except pa.ArrowException as error:
        raise DataError(f"the data sets cannot be put together: {error}") from error


def _about_classes(each: Mapping[str, Examples]) -> tuple[str, ...]:
    """Sentences on classes that a data set lacks. Raises DataError where one shares none with the others."""
    found: dict[str, set[str]] = {}
    for name, examples in each.items():
        column = examples.schema.targets.get("label")
        if column is None or not any(is_such(examples.table.schema.field(column).type) for is_such in CLASSES):
            return ()
        labels = pc.unique(examples.table.column(column)).to_pylist()
        found[name] = {str(label) for label in labels if label is not None}
    every, notes = set[str]().union(*found.values()), []
    if len(every) > MOST_CLASSES:
        return ()
    for name, classes in found.items():
        others = set[str]().union(*(there for other, there in found.items() if other != name))
        if not classes & others:
            own, theirs = some(sorted(classes)), some(sorted(others))
            raise DataError(f"the labels of {name} ({own}) are none of those of the other data sets ({theirs})")
        if lacking := sorted(every - classes):
            notes.append(f"{name} has no examples of {some(lacking)}")
    return tuple(notes)
