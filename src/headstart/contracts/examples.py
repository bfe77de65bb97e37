"""Examples: the one shape that data of every kind take.

A thin wrapper over a `pyarrow.Table`, one row per example, with a `Schema` that says which column is what. Inputs stay
where they are (a path, a text, numbers) and are decoded when a backbone prepares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headstart.contracts.targets import WEIGHT
from headstart.kernel.errors import DataError, some
from headstart.kernel.settings import Settings

Raw = Any
"""One input as a modality's `raws` gives it and a backbone's `prepare` takes it: a file, a text, some numbers."""

SEVERAL = "several"
"""The target of several label columns, each a task of its own: a record of each example's labels by column."""


class LabelRoles(Settings):
    """The roles of one of several label columns, as a `Schema` has them whose only label it is."""

    target: str = "label"
    column: str = ""
    """Its name in a data set of its own, where the task may be called otherwise."""
    label_form: str | None = None
    decimal: str | None = None
    separator: str = ""
    written: str | None = None
    legend: dict[str, str] = {}
    unknown: tuple[int, ...] = ()
    threshold: int | None = None
    as_stored: bool = False


class Schema(Settings):
    """The roles of a table's columns."""

    modality: str
    """Plug-in name of the modality of the inputs, such as 'image'."""
    inputs: tuple[str, ...]
    """The input columns, as the modality reads them."""
    texts: int = 1
    """How many of the first input columns are texts, one after the other, where other columns stand beside them."""
    targets: dict[str, str] = {}
    """Target name -> column: 'label' of plain tasks, a list where it is a set, 'spans' of texts; empty without any."""
    label_form: str | None = None
    """What the cells of labels were taken for, as a setting of the format says it; None where their type says it."""
    decimal: str | None = None
    """The decimal sign of labels that are numbers in another notation."""
    separator: str = ""
    """What stands between the labels of a cell that names several; '' where a cell is one label, or a list."""
    written: str | None = None
    """Column of the labels as they are written, where numbers were read from text."""
    each_label: dict[str, LabelRoles] = {}
    """Label column -> its roles, where the target is `SEVERAL`; a field of the records in that column is each."""
    words: str | None = None
    """Column with the places of a text's words, where the data say what its words are."""
    group: str | None = None
    """Column of what must not be split: patient, speaker, source file."""
    time: str | None = None
    """Column of the seconds from the beginning of its group to an example, where those of a group follow in time."""
    box: str | None = None
    """Column of the part of its picture that an example is: a list of top, left, height and width in pixels."""
    legend: dict[str, str] = {}
    """Value ('3') or colour ('#ff0000') in masks -> class name, in the order of classes; empty where none is given."""
    unknown: tuple[int, ...] = ()
    """Values in masks for pixels of which nothing is known: they are neither learnt nor judged."""
    threshold: int | None = None
    """Grey value of masks from which on a pixel is 255, and 0 below; None: values as they stand."""
    as_stored: bool = False
    """Whether masks lie over their pictures as these are stored, and are turned by the pictures' EXIF as they are."""
    domain: str | None = None
    """Column that names the domain of an example; each domain is a stream, and has figures of its own."""
    slices: tuple[str, ...] = ()
    """Columns whose every value gets figures of its own, beside the domain."""
    weight: str | None = None
    """Column of the numbers that say how much each example counts; each counts 1 without."""
    part: str | None = None
    """Column with the given split: 'train', 'val', 'test'; empty where none is given."""
    origin: str
    """Column that says where an example came from, as a person would name it: a relative path, or 'file.csv:12'."""
    id: str | None = None
    """Column by which the data name their rows, such as 'tweet_id'; predictions repeat it."""
    root: str = ""
    """Folder that relative paths of inputs start from."""


ROLES = ("written", "words", "group", "time", "domain", "weight", "part", "origin", "id")
"""Fields of a schema that each name a column, or none."""


class Examples:
    """Rows of data with a schema. Cheap to slice; inputs are read by `raws_of` of `contracts/modality.py`."""

    def __init__(self, table: pa.Table, schema: Schema, notes: tuple[str, ...] = ()) -> None:
        """Wrap `table`; `notes` are what the reader of the data wants told: files left out, a fallback encoding.

        Raises:
            DataError: the schema names a column that the table lacks.
        """
        roles = (getattr(schema, role) for role in ROLES)
        named = [*schema.inputs, *schema.targets.values(), *schema.slices, *roles]
        missing = sorted({name for name in named if name} - set(table.column_names))
        if missing:
            raise DataError(f"no column {missing[0]!r} in the data. Columns: {', '.join(table.column_names)}")
        self.table = table
        self.schema = schema
        self.notes = notes

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def take(self, rows: Sequence[int] | np.ndarray) -> Examples:
        """The given rows, in the given order."""
        return Examples(self.table.take(pa.array(np.asarray(rows, dtype=np.int64))), self.schema, self.notes)

    def unlabelled(self) -> Examples:
        """The same rows, of which no label is known."""
        return Examples(self.table, self.schema.model_copy(update={"targets": {}}), self.notes)

    def column(self, name: str) -> list[Any]:
        """A column as Python values; None where empty."""
        return self.table.column(name).to_pylist()

    def target(self, name: str = "label") -> list[Any]:
        """The values of a target as they stand in the data.

        Raises:
            DataError: the data have no such target.
        """
        if name not in self.schema.targets:
            have = ", ".join(self.schema.targets) or "none: the data are unlabelled"
            raise DataError(f"the data have no target '{name}' (targets: {have})")
        return self.column(self.schema.targets[name])

    def of_label(self, name: str) -> Examples:
        """Return the examples with one of several label columns as their only label, empty where they have none."""
        if SEVERAL not in self.schema.targets:
            return self
        here = self.schema.each_label
        column = name if name not in self.table.column_names else f"{name} (label)"
        several, roles = self.table.column(self.schema.targets[SEVERAL]), here.get(name, LabelRoles())
        labels = pc.struct_field(several, name) if name in here else pa.nulls(len(self))
        own = roles.model_dump(exclude={"target", "column"})
        changed = {**own, "targets": {roles.target: column}, "each_label": {}}
        return Examples(self.table.append_column(column, labels), self.schema.model_copy(update=changed), self.notes)

    def weights(self) -> dict[str, np.ndarray]:
        """Return the weights {"weight": (examples,)}, as a task adds them to its targets; {} where each counts 1."""
        if self.schema.weight is None:
            return {}
        return {WEIGHT: self.table.column(self.schema.weight).to_numpy()}

    def origins(self) -> list[str]:
        """The origin of each example."""
        return [str(value) for value in self.column(self.schema.origin)]

    def named(self, rows: Sequence[int]) -> str:
        """The origins of the first of some rows, for an error: 'a.jpg, b.jpg, c.jpg and 4 more'."""
        return some(self.take(rows).origins(), 3)
