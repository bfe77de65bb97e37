"""Inputs handed over in memory, as scikit-learn hands them, as Examples of the modality that recognises them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.format import Columns
from headstart.contracts.modality import HasNumbers, HasTexts, InFiles, modality_named
from headstart.contracts.targets import WEIGHT
from headstart.kernel import registry
from headstart.kernel.errors import DataError
from headstart.pipeline.data import read_examples

LABEL, WEIGHTS = "y", "sample_weight"
"""The columns of labels and weights: what scikit-learn calls them, and so do errors."""


def modality_of(inputs: Any) -> str:
    """The modality that is most certain of the inputs."""
    looked_at = _in_rows(inputs) if getattr(inputs, "ndim", 0) > 1 or is_sequence(inputs) else ()
    known = getattr(looked_at, "ndim", 1) > 0 and len(looked_at) > 0  # a sparse matrix becomes an array without axes
    if known and is_sequence(looked_at):  # missing ones are refused where the modality is known
        looked_at = looked_at[next((row for row, item in enumerate(looked_at) if np.any(pd.notna(item))), 0) :]
    seen = looked_at if known else np.empty((0, 0))
    return max(registry.names("modalities"), key=lambda name: modality_named(name).recognises(seen))


def is_sequence(inputs: Any) -> bool:
    """True for inputs one by one: a list, a tuple, an array or Series with one axis."""
    one_by_one = all(hasattr(inputs, name) for name in ("__len__", "__getitem__")) and not isinstance(inputs, Mapping)
    return one_by_one and getattr(inputs, "ndim", 1) == 1


def require_one_by_one(inputs: Any) -> None:
    """Refuse what does not hold one input per example. Raises DataError."""
    rows = is_sequence(inputs) or getattr(inputs, "ndim", 0) > 1 or hasattr(inputs, "__array__")
    if isinstance(inputs, (str, bytes)) or not rows:
        kind = type(inputs).__name__
        raise DataError(f"X is of type {kind}; expected a list, array, Series or frame with one input per example")


def examples_of(
    inputs: Any, modality: str, label: Any, weights: np.ndarray | None = None, *, columns: Columns | None = None
) -> Examples:
    """Examples, with the target 'label' where `label` is given.

    Args:
        inputs: a sequence with one input per example, or an array or frame with a row for each.
        modality: the name of their modality, which says what an input may be.
        label: (examples,) numbers or names, or lists of names.
        weights: (examples,) floats above 0, how much each counts; None for 1 each.
        columns: of a frame, as of `cells_of`.

    Raises:
        DataError: an input is of another kind, or a column is missing.
    """
    if columns is not None:
        examples = _read(inputs, columns)
        return examples if label is None else labelled(examples, label, weights)
    kind, rows = modality_named(modality), _in_rows(inputs)
    values = kind.columns(rows)
    origins = [f"row {row}" for row in range(len(rows))]
    if isinstance(kind, InFiles):
        files = [f" ({item})" if isinstance(item, (str, os.PathLike)) else "" for item in rows]
        origins = [row + file for row, file in zip(origins, files)]
    table = pa.table({**values, "__origin__": pa.array(origins, pa.string())})
    schema = Schema(modality=modality, inputs=tuple(values), origin="__origin__")
    examples = Examples(table, schema)
    return examples if label is None else labelled(examples, label, weights)


def cells_of(inputs: Any) -> tuple[str, Columns] | None:
    """The modality and the columns of a frame with categories, dates or gaps; None for anything else, such as a frame
    of complete numbers or of texts.

    Raises:
        DataError: no column is an input.
    """
    if not isinstance(inputs, pd.DataFrame) or _is_numbers(inputs):
        return None
    try:
        examples = _read(inputs, Columns())
    except DataError:
        if isinstance(modality_named(modality_of(inputs)), HasTexts):  # two columns, either of which could be the text
            return None
        raise
    modality = modality_named(examples.schema.modality)
    if not isinstance(modality, HasNumbers):
        return None
    return examples.schema.modality, Columns.model_validate(modality.named(examples.table, examples.schema))


def _read(frame: pd.DataFrame, columns: Columns) -> Examples:
    return read_examples(frame, columns, format="table", settings={"inputs": "all"}, labelled=False)[0]


def labelled(examples: Examples, label: Any, weights: np.ndarray | None) -> Examples:
    """The same examples with the target 'label', names or numbers (examples,), and weights as of `examples_of`."""
    name = _free(LABEL, examples.table)
    schema = examples.schema.model_copy(update={"targets": {"label": name}})
    return weighted(Examples(examples.table.append_column(name, pa.array(label)), schema, examples.notes), weights)


def _free(name: str, table: pa.Table) -> str:
    """The name, or one like it that no column of the table has."""
    return name if name not in table.column_names else _free(f"{name}_", table)


def _is_numbers(frame: pd.DataFrame) -> bool:
    numeric = all(isinstance(kind, np.dtype) and kind.kind in "iufb" for kind in frame.dtypes)
    return numeric and not frame.isna().any(axis=None)


def weighted(examples: Examples, weights: np.ndarray | None) -> Examples:
    """The same examples with weights (examples,) in place of their own; None for 1 each."""
    table = examples.table
    if examples.schema.weight is not None:
        table = table.drop_columns([examples.schema.weight])
    if weights is None:
        return Examples(table, examples.schema.model_copy(update={"weight": None}), examples.notes)
    name = _free(WEIGHTS, table)
    schema = examples.schema.model_copy(update={"weight": name})
    return Examples(table.append_column(name, pa.array(weights, pa.float64())), schema, examples.notes)


def merged(examples: Examples, keys: Sequence[str]) -> tuple[Examples, Sequence[str]]:
    """Join rows with the same input and label to one row that has the sum of their weights, and return its key too.

    Rows that are joined or have weights are put in the order of their content: a row that stands twice gives the same
    fit as one with a weight of 2, wherever it stands.
    """
    names = [f"{key} {label!r}" for key, label in zip(keys, examples.target())]
    distinct, rows, member = np.unique(names, return_index=True, return_inverse=True)
    if len(distinct) == len(names) and examples.schema.weight is None:
        return examples, keys
    weights = np.bincount(member, examples.weights().get(WEIGHT))
    return weighted(examples.take(rows), weights.astype(np.float64)), [keys[row] for row in rows]


def _in_rows(inputs: Any) -> Any:
    """A frame as an array; sequences as they are."""
    return inputs if is_sequence(inputs) else np.asarray(inputs)
