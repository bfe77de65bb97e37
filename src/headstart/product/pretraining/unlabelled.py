"""Reading data without labels, as many as there are: a list of inputs, none of which is opened before it is needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.kernel import registry
from headstart.kernel.errors import DataError
from headstart.kernel.randomness import draw_seed
from headstart.product.data import existing, reader_of

ROWS_AT_ONCE = 20_000
"""Listed at a time; a folder of more pictures is not looked at by every format, which would take longer."""

HELD_OUT_SHARE, LEAST_HELD_OUT, MOST_HELD_OUT = 0.05, 16, 2048
"""Share of the inputs that are not trained on, and the bounds of their number."""

FEWEST = 32
"""Inputs from which something can be learnt without labels."""


@dataclass(frozen=True)
class Unlabelled:
    """Inputs, and which of them are held out."""

    examples: Examples
    train: np.ndarray
    """(rows,) int64, ascending."""
    held_out: np.ndarray
    """(rows,) int64, ascending: the loss and the monitors are computed on them."""
    source: str
    seen: str
    """What the inputs are, in words."""
    notes: tuple[str, ...]


def read_unlabelled(data: Any, columns: Columns, format: str | None, seed: int) -> Unlabelled:
    """List every input, and hold some out.

    Raises:
        DataError: there are none or too few, or how they lie is not clear.
    """
    source, folders = existing(data), Counter[str]()
    parts = []
    for part in _streamed(source, columns, format):
        parts.append(part)
        if part.schema.modality == "image":
            folders.update(_folders(part))
    schema = parts[0].schema
    table = pa.concat_tables([part.table for part in parts]).combine_chunks()  # so that rows are found at once
    examples = Examples(table, schema)
    if len(examples) < FEWEST:
        raise DataError(f"{source} has {len(examples)} inputs; learning without labels needs {FEWEST} at least")
    rows = np.arange(len(examples))
    draws = np.random.default_rng(draw_seed(seed, "held out"))
    number = min(MOST_HELD_OUT, max(LEAST_HELD_OUT, round(HELD_OUT_SHARE * len(rows))))
    held_out = np.sort(draws.choice(rows, number, replace=False))
    words = {"image": "pictures", "text": "texts", "table": "rows of numbers"}[schema.modality]
    return Unlabelled(
        examples,
        np.delete(rows, held_out),
        held_out,
        str(source) if isinstance(source, Path) else f"<{type(source).__name__}>",
        f"{len(examples):,} {words}",
        (*_about_folders(folders), *parts[-1].notes),
    )


def _streamed(source: Any, columns: Columns, format: str | None) -> Iterator[Examples]:
    """The inputs in parts; a folder of very many pictures is taken for one at once."""
    if format is None and isinstance(source, Path) and source.is_dir():
        pictures = registry.plugin("formats", "image_folder")()
        try:
            first = next(pictures.stream(source, Columns(), ROWS_AT_ONCE))
        except DataError:  # there are none
            first = None
        if first is not None and len(first) == ROWS_AT_ONCE:
            return iter(pictures.stream(source, columns, ROWS_AT_ONCE))
    named = columns.model_copy(update={"label": None, "labels": (), "part": None})
    found, reader = reader_of(source, format)
    return reader.stream(found, named, ROWS_AT_ONCE)


def _folders(part: Examples) -> Counter[str]:
    """Pictures in each folder."""
    paths = part.table.column(part.schema.inputs[0]).to_pylist()
    return Counter(path.rpartition("/")[0] for path in paths if isinstance(path, str))


def _about_folders(folders: Counter[str]) -> tuple[str, ...]:
    """A note where folders may be classes."""
    named = [name for name, _ in folders.most_common() if name]
    if len(named) < 2:
        return ()
    shown = [f"{name} ({folders[name]:,})" for name in named[:3]]
    more = [f"{len(named) - 3:,} more"] if len(named) > 3 else []
    listed = [*shown, *more]
    words = f"{', '.join(listed[:-1])} and {listed[-1]}"
    return (f"the pictures lie in {len(named):,} folders: {words}. Where they are classes, nothing is learnt by it",)
