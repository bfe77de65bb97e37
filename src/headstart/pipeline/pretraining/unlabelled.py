"""Reading data without labels, as many as there are: a list of inputs, none of which is opened before it is needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.format import Columns
from headstart.contracts.modality import HasNumbers, HasTexts, InFiles, modality_named, raws_of
from headstart.kernel import registry
from headstart.kernel.errors import DataError, some
from headstart.kernel.randomness import draw_seed
from headstart.pipeline.data import existing, reader_of
from headstart.pipeline.unusable import unusable

ROWS_AT_ONCE = 20_000
"""Listed at a time; a folder of more pictures is not looked at by every format, which would take longer."""

HELD_OUT_SHARE, LEAST_HELD_OUT, MOST_HELD_OUT = 0.05, 16, 2048
"""Share of the inputs that are not trained on, and the bounds of their number."""

MOST_COLUMNS = 12
"""Named in a note."""

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
    """Description of the inputs."""
    notes: tuple[str, ...]


DUPLICATE = "repeats an earlier text"
"""Reason to skip a text that is there already."""


def read_unlabelled(data: Any, columns: Columns, format: str | None, seed: int) -> Unlabelled:
    """List every input, and hold some out.

    Raises:
        DataError: there are none or too few, or how they lie is not clear.
    """
    source, folders = existing(data), Counter[str]()
    parts = []
    for part in _streamed(source, columns, format):
        parts.append(part)
        if isinstance(modality_named(part.schema.modality), InFiles):
            folders.update(_folders(part))
    schema = parts[0].schema
    table = pa.concat_tables([part.table for part in parts]).combine_chunks()  # so that rows are found at once
    examples = Examples(table, schema)
    useless = _useless(examples)
    rows = np.delete(np.arange(len(examples)), sorted(useless))
    if len(rows) < FEWEST:
        of_use = " of use" if useless else ""
        raise DataError(f"{source} has {len(rows)} inputs{of_use}; learning without labels needs {FEWEST} at least")
    draws = np.random.default_rng(draw_seed(seed, "held out"))
    number = min(MOST_HELD_OUT, max(LEAST_HELD_OUT, round(HELD_OUT_SHARE * len(rows))))
    held_out = np.sort(draws.choice(rows, number, replace=False))
    origins = examples.take(sorted(useless)).origins()
    return Unlabelled(
        examples,
        np.setdiff1d(rows, held_out),
        held_out,
        str(source) if isinstance(source, Path) else f"<{type(source).__name__}>",
        f"{len(examples):,} {modality_named(schema.modality).unit}",
        (*_about_folders(folders), *_about_columns(schema), *_about_useless(useless, origins), *parts[-1].notes),
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
    # what is named a label is not an input, and may be missing: so are slices
    labels = (*columns.labels, *([columns.label] if columns.label else []))
    named = columns.model_copy(update={"label": None, "labels": (), "part": None, "slices": (*columns.slices, *labels)})
    found, reader = reader_of(source, format)
    return reader.stream(found, named, ROWS_AT_ONCE)


def _folders(part: Examples) -> Counter[str]:
    """Files in each folder."""
    paths = part.table.column(part.schema.inputs[0]).to_pylist()
    return Counter(path.rpartition("/")[0] for path in paths if isinstance(path, str))


def _useless(examples: Examples) -> dict[int, str]:
    """Row -> why it is skipped: it holds nothing, or repeats an earlier text.

    Copies would be pushed apart where texts are contrasted, and memorised where words are predicted.
    """
    found, kind = unusable(examples), modality_named(examples.schema.modality)
    if isinstance(kind, HasTexts):
        seen = set[tuple[str, ...]]()
        for row, texts in enumerate(map(kind.texts, raws_of(examples))):
            if texts in seen:
                found.setdefault(row, DUPLICATE)
            seen.add(texts)
    return found


def _about_useless(useless: Mapping[int, str], origins: Sequence[str]) -> tuple[str, ...]:
    """A note for each reason to skip rows; `origins` are those of the rows, in ascending order."""
    first: dict[str, str] = {}
    for row, origin in zip(sorted(useless), origins):
        first.setdefault(useless[row], origin)
    return tuple(_skipped(number, reason, first[reason]) for reason, number in Counter(useless.values()).items())


def _skipped(number: int, reason: str, first: str) -> str:
    if reason == DUPLICATE:
        return f"Skipped {number:,} duplicate text{'s' if number > 1 else ''}, such as {first}."
    return f"Skipped {number:,} input{'s' if number > 1 else ''}, such as {first}: it {reason}."


def _about_columns(schema: Schema) -> tuple[str, ...]:
    """A note on which numbers are learnt from."""
    if not isinstance(modality_named(schema.modality), HasNumbers):
        return ()
    return (f"Trained on the columns {some(schema.inputs, MOST_COLUMNS)}.",)


def _about_folders(folders: Counter[str]) -> tuple[str, ...]:
    """A note where folders may be classes."""
    named = [name for name, _ in folders.most_common() if name]
    if len(named) < 2:
        return ()
    shown = [f"{name} ({folders[name]:,})" for name in named[:3]]
    more = [f"{len(named) - 3:,} more"] if len(named) > 3 else []
    listed = [*shown, *more]
    words = f"{', '.join(listed[:-1])} and {listed[-1]}"
    return (f"The files are in {len(named):,} folders: {words}. If these are classes, they are not used.",)
