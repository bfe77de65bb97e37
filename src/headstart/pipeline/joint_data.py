"""Several data sets, each of which is a task: every one gets the label columns of all, its own filled."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from headstart.contracts.examples import SEVERAL, Examples, LabelRoles, Schema
from headstart.contracts.format import Columns
from headstart.kernel.errors import DataError, SettingsError

OF_MASKS = ("legend", "unknown", "threshold", "as_stored")
"""Fields of a schema that say how masks are read."""

LABELS = "labels of each data set"
"""The column of records of labels that is added."""


class _Labels(NamedTuple):
    """A label column of a data set."""

    column: str
    values: pa.Array
    roles: LabelRoles


def columns_of_tasks(columns: Columns, names: Sequence[str]) -> list[Columns]:
    """Return the columns of each data set: of several label columns each has its own, in their order.

    Raises:
        SettingsError: there are neither as many label columns as data sets, nor one for all.
    """
    if not columns.labels:
        return [columns] * len(names)
    if columns.each_label:  # as a run knows them
        known = [columns.each_label[name] for name in columns.labels]
        own = [{"label": one.column, "label_form": one.label_form, "decimal": one.decimal} for one in known]
        return [columns.model_copy(update={**one, "labels": (), "each_label": {}, "target": None}) for one in own]
    if len(columns.labels) != len(names):
        raise SettingsError(
            f"--label was given {len(columns.labels)} times for {len(names)} data sets. With --joint give it once for"
            f" all, or once for each: {', '.join(names)}."
        )
    return [columns.model_copy(update={"label": label, "labels": ()}) for label in columns.labels]


def as_tasks(each: Mapping[str, Examples]) -> dict[str, Examples]:
    """Return the data sets with the same label columns: a task is called after its column, or after its data set where
    columns of two are called alike. Raises DataError where a data set has no labels.
    """
    found = {name: _labels_of(name, examples) for name, examples in each.items()}
    counts = Counter(labels.column for labels in found.values())
    called = {name: labels.column if max(counts.values()) == 1 else name for name, labels in found.items()}
    roles = {called[name]: labels.roles for name, labels in found.items()}
    kinds = {called[name]: labels.values.type for name, labels in found.items()}
    return {name: _with_all(examples, called[name], found[name], roles, kinds) for name, examples in each.items()}


def _labels_of(name: str, examples: Examples) -> _Labels:
    schema = examples.schema
    if len(schema.targets) != 1 or SEVERAL in schema.targets:
        raise DataError(
            f"{name} has the targets {', '.join(schema.targets.values()) or 'none'}: with --joint each data set has one"
            " label column. Name it with --label."
        )
    ((target, column),) = schema.targets.items()
    kept = schema.model_dump(include={"label_form", "decimal", "separator", *OF_MASKS})
    values = examples.table.column(column).combine_chunks()
    if pa.types.is_string(values.type):  # files, such as masks
        values = pa.array([whole_path(schema.root, cell, needed=False) for cell in values.to_pylist()], pa.string())
    values = pc.fill_null(values, "") if schema.separator else values  # an empty cell is a set without labels
    return _Labels(column, values, LabelRoles(target=target, column=column, **kept))


def _with_all(
    examples: Examples, task: str, own: _Labels, roles: Mapping[str, LabelRoles], kinds: Mapping[str, pa.DataType]
) -> Examples:
    rows = len(examples)
    fields = [own.values if name == task else pa.nulls(rows, kind) for name, kind in kinds.items()]
    table = examples.table
    if own.column not in examples.schema.inputs:
        table = table.drop_columns([own.column])
    table = table.append_column(LABELS, pa.StructArray.from_arrays(fields, list(kinds)))
    changed = {"targets": {SEVERAL: LABELS}, "each_label": dict(roles), "separator": "", "written": None}
    changed |= {"label_form": None, "decimal": None}
    changed |= {field: Schema.model_fields[field].default for field in OF_MASKS}
    return Examples(table, examples.schema.model_copy(update=changed), examples.notes)


def whole_path(root: str, cell: Any, *, needed: bool) -> Any:
    """Return the path of a file below the root as a whole one; any other cell as it is."""
    if not isinstance(cell, str) or not root:
        return cell
    path = Path(root, cell)
    return str(path.absolute()) if needed or (os.sep in cell and path.is_file()) else cell
