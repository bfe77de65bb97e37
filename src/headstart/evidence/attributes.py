"""Attributes of examples beside their content: columns that are not learnt from, sizes, brightness, files and folders.

A model sees none of them as such, but content may give them away: a camera, a hospital, the software that wrote a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.modality import HasTexts, files_of, modality_named, raws_of
from headstart.evidence.image_fingerprints import Fingerprints

Values = np.ndarray | Sequence[Any]
"""Of an attribute: floats, NaN where there is none, or names, None where there is none."""


def attributes_of(examples: Examples, fingerprints: Fingerprints | None = None) -> dict[str, Values]:
    """Return the attributes of each example by name, as findings call them.

    Args:
        examples: all of them.
        fingerprints: of the examples' pictures, as `find_duplicates` returns them; None for inputs without pictures.
    """
    found = {f"column '{name}'": values for name, values in _columns(examples).items()}
    if fingerprints is not None:
        found |= _of_pictures(fingerprints, len(examples))
    kind = modality_named(examples.schema.modality)
    if isinstance(kind, HasTexts):
        texts = [" ".join(kind.texts(raw)) for raw in raws_of(examples)]
        found["number of characters"] = np.array([len(text) for text in texts], dtype=np.float64)
        found["number of words"] = np.array([len(text.split()) for text in texts], dtype=np.float64)
    return found | _of_files(files_of(examples), examples.schema.root)


def _columns(examples: Examples) -> dict[str, Values]:
    """Columns of names, numbers and dates that have no role, and those of the domain and the slices."""
    schema = examples.schema
    return {
        field.name: _values(examples.table.column(field.name))
        for field in examples.table.schema
        if field.name not in _taken(schema) and not pa.types.is_nested(field.type) and not _is_binary(field.type)
    }


def _taken(schema: Schema) -> set[str | None]:
    roles = (schema.written, schema.words, schema.group, schema.box, schema.weight, schema.part, schema.origin)
    return {*schema.inputs, *schema.targets.values(), *roles, schema.id} - {schema.domain, *schema.slices}


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _values(column: pa.ChunkedArray) -> Values:
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        column, kind = column.cast(pa.timestamp("s"), safe=False).cast(pa.int64()), pa.int64()
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
    return [None if value is None else str(value) for value in column.to_pylist()]


def _of_pictures(fingerprints: Fingerprints, count: int) -> dict[str, Values]:
    records, pixels = fingerprints.records, fingerprints.records["pixels"].reshape(len(fingerprints.records), -1)
    width, height = records["width"].astype(np.float64), records["height"].astype(np.float64)
    measured = {
        "width of the picture": width,
        "height of the picture": height,
        "aspect ratio of the picture": width / np.maximum(height, 1),
        "mean brightness": pixels.mean(axis=1),
        "contrast": pixels.std(axis=1),
    }
    found: dict[str, Values] = {}
    for name, values in measured.items():
        of_all = np.full(count, np.nan)
        of_all[fingerprints.rows] = values[fingerprints.record_of]
        found[name] = of_all
    return found


def _of_files(files: Sequence[Path | None], root: str) -> dict[str, Values]:
    """Suffix, size and folders of files; a level of folders is an attribute of its own."""
    if not any(files):
        return {}
    found: dict[str, Values] = {
        "type of the file": [None if file is None else file.suffix.lower() for file in files],
        "size of the file": np.array([_bytes(file) for file in files]),
    }
    parents: list[tuple[str, ...]] = [() if file is None else _below(file, root).parts[:-1] for file in files]
    for level in range(max(map(len, parents))):
        names = [parts[level] if level < len(parts) else None for parts in parents]
        if len(set(names)) > 1:
            found[f"folder, level {level + 1}"] = names
    return found


def _below(file: Path, root: str) -> Path:
    return file.relative_to(root) if root and file.is_relative_to(root) else file


def _bytes(file: Path | None) -> float:
    try:
        return np.nan if file is None else float(file.stat().st_size)
    except OSError:
        return np.nan
