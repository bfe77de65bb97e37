"""Inputs handed over in memory, as scikit-learn hands them, as Examples of the modality that recognises them."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pyarrow as pa

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.modality import InFiles, modality_named
from headstart.kernel import registry

LABEL = "y"
"""The column of the labels: what scikit-learn calls them, and so do errors."""


def modality_of(inputs: Any) -> str:
    """The modality that is most certain of the inputs."""
    looked_at = _in_rows(inputs) if getattr(inputs, "ndim", 0) > 1 or is_sequence(inputs) else ()
    known = getattr(looked_at, "ndim", 1) > 0 and len(looked_at) > 0  # a sparse matrix becomes an array without axes
    seen = looked_at if known else np.empty((0, 0))
    return max(registry.names("modalities"), key=lambda name: modality_named(name).recognises(seen))


def is_sequence(inputs: Any) -> bool:
    """True for inputs one by one: a list, a tuple, an array or Series with one axis."""
    return getattr(inputs, "ndim", 1) == 1 and all(hasattr(inputs, name) for name in ("__len__", "__getitem__"))


def examples_of(inputs: Any, modality: str, label: np.ndarray | None) -> Examples:
    """Examples, with the target 'label' where `label` is given.

    Args:
        inputs: a sequence with one input per example, or an array or frame with a row for each.
        modality: the name of their modality, which says what an input may be.
        label: (examples,) numbers.

    Raises:
        DataError: an input is of another kind.
    """
    kind, rows = modality_named(modality), _in_rows(inputs)
    columns = kind.columns(rows)
    origins = [f"row {row}" for row in range(len(rows))]
    if isinstance(kind, InFiles):
        files = [f" ({item})" if isinstance(item, (str, os.PathLike)) else "" for item in rows]
        origins = [row + file for row, file in zip(origins, files)]
    table = pa.table({**columns, "__origin__": pa.array(origins, pa.string())})
    schema = Schema(modality=modality, inputs=tuple(columns), origin="__origin__")
    if label is None:
        return Examples(table, schema)
    labelled = schema.model_copy(update={"targets": {"label": LABEL}})
    return Examples(table.append_column(LABEL, pa.array(label)), labelled)


def _in_rows(inputs: Any) -> Any:
    """A frame as an array; sequences as they are."""
    return inputs if is_sequence(inputs) else np.asarray(inputs)
