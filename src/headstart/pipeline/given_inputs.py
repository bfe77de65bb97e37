"""Inputs that are handed to `predict` and lie in no file: a text, a list or Series, and standard input."""

from __future__ import annotations

import csv
import difflib
import os
import re
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from headstart.contracts.examples import Examples
from headstart.contracts.modality import HasTexts, InFiles, modality_named
from headstart.contracts.model import Model
from headstart.kernel.documents import parse_json
from headstart.kernel.errors import DataError
from headstart.pipeline.data import existing
from headstart.pipeline.memory_data import examples_of

STANDARD_INPUT = "-"
_ENDING = re.compile(r"\S\.[A-Za-z][A-Za-z0-9]{1,7}$")
_ENDINGS = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".xlsx", ".parquet", ".zip", ".gz", ".db", ".jpg", ".png")
_ALIKE = 0.7
"""Likeness to the name of a file from which on a word is taken for that name misspelt."""


def given_examples(data: Any, model: Model) -> Examples | None:
    """Inputs in memory as examples of what the model takes; None for whatever a format reads.

    Raises:
        DataError: an input is of another kind, or a text looks like a path that does not exist.
    """
    kind = modality_named(model.backbone.modality)
    if isinstance(data, str) and isinstance(kind, HasTexts) and data.strip() and not _exists(data):
        if _looks_like_path(data):
            raise _no_file(data)
        return examples_of([data], model.backbone.modality, None)
    if not isinstance(data, (list, tuple, pd.Series, np.ndarray)) or getattr(data, "ndim", 1) == 0:
        return None
    if not len(data):
        raise DataError("there is nothing to predict: the data have no rows")
    rows = data.tolist() if isinstance(data, pd.Series) else data
    if isinstance(rows[0], (dict, Path)) or (isinstance(kind, InFiles) and isinstance(rows[0], str)):
        return None
    if model.columns.categorical or model.columns.date:
        raise DataError("the model reads columns by their names: give a frame, or records such as [{'age': 31}]")
    try:
        found = examples_of(rows, model.backbone.modality, None)
    except DataError:
        raise
    except ValueError as error:
        raise DataError(f"the inputs are not {kind.unit} that the model can read: {error}") from error
    if not isinstance(data, pd.Series):
        return found
    origins = pa.array([f"row {label}" for label in data.index], pa.string())
    place = found.table.column_names.index(found.schema.origin)
    return Examples(found.table.set_column(place, found.schema.origin, origins), found.schema)


def as_list(data: Any) -> Any:
    """A Series or an array as a list, as formats take paths; other data as they are."""
    return data.tolist() if isinstance(data, (pd.Series, np.ndarray)) else data


@contextmanager
def on_disk(data: Any, columns: Collection[str]) -> Iterator[Any]:
    """The data as a format reads them: standard input as a file, records as a frame.

    Args:
        data: as a user gave them.
        columns: the input columns, by which a header is told from a text.

    Raises:
        DataError: standard input is empty.
    """
    if isinstance(data, (list, tuple)) and data and all(isinstance(record, dict) for record in data):
        data = pd.DataFrame(list(data))
    if not isinstance(data, str) or data != STANDARD_INPUT:
        yield data
        return
    content = sys.stdin.buffer.read()
    if not content.strip():
        raise DataError("standard input is empty")
    with TemporaryDirectory() as folder:
        file = Path(folder, f"stdin{_ending_for(content, columns)}")
        file.write_bytes(content)
        yield file


def _ending_for(content: bytes, columns: Collection[str]) -> str:
    """The ending of a file with that content: JSON, a table with a header that has the columns, else lines of text."""
    first = content.lstrip().split(b"\n", 1)[0].decode("utf-8-sig", "replace").strip()
    if first.startswith(("[", "{")):
        whole, record = _json(content), _json(first)
        columns_of_lists = isinstance(whole, dict) and all(isinstance(values, list) for values in whole.values())
        if isinstance(record, dict) and not columns_of_lists:
            return ".jsonl"
        if isinstance(whole, (dict, list)):
            return ".json"
    for ending, delimiter in ((".csv", ","), (".csv", ";"), (".tsv", "\t")):
        header = {cell.strip() for cell in next(csv.reader([first], delimiter=delimiter), [])}
        if columns and header.issuperset(columns):
            return ending
    return ".txt"


def _no_file(path: str) -> DataError:
    try:
        existing(path)
    except DataError as error:
        return DataError(
            f"{error} If it is a text and no path, give it in a list, or on the command line by standard input: "
            f'echo "..." | headstart predict RUN {STANDARD_INPUT}'
        )
    return DataError(f"{path} cannot be read")


def _json(text: str | bytes) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        return None


def _exists(text: str) -> bool:
    try:
        return text == STANDARD_INPUT or os.path.exists(os.path.expanduser(text))
    except ValueError:
        return False


def _looks_like_path(text: str) -> bool:
    """True for what begins or ends as paths do, has folders that exist, or is nearly the name of a file here."""
    if text.startswith(("/", "~", "./", "../")) or os.path.isdir(os.path.dirname(text)):
        return True
    if len(text.split()) > 1:
        return text.lower().endswith(_ENDINGS)
    alike = difflib.get_close_matches(text, os.listdir(), n=1, cutoff=_ALIKE)
    return bool(os.sep in text or "\\" in text or _ENDING.search(text) or alike)
