"""Files in the .ts form of the UEA & UCR archive: a header, then a line for each series of one variable.

    @targetLabel true
    @data
    0.1,0.4,0.2,0.9:412
    0.3,0.2,0.8,0.1,0.5:97+

What follows the colon is how long the machine lived; a plus says that it still ran when last seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.format import Columns
from headstart.contracts.left_out import left_out
from headstart.kernel.errors import DataError
from headstart.kernel.settings import Settings

SCHEMA = Schema(modality="series", inputs=("series",), targets={"lifetime": "lifetime"}, origin="origin")
LIFETIME = pa.struct({"time": pa.float64(), "ended": pa.bool_()})


class TsFile(Settings):
    """A .ts file of series of one variable."""

    @classmethod
    def recognises(cls, source: Any) -> str | None:
        """Name a .ts file that has a line '@data' after its header."""
        if not isinstance(source, Path) or source.suffix != ".ts" or not source.is_file():
            return None
        with open(source, encoding="utf-8", errors="replace") as file:
            return f"a .ts file of series, {source.name}" if any(_starts_data(line) for line in file) else None

    def read(self, source: Any, columns: Columns, *, labelled: bool = True) -> Examples:
        """Return a row per line of data. Raises DataError on what is not a number and, if wanted, a missing label."""
        if columns != Columns():
            raise DataError(f"{source} has no columns to name: leave --label, --group and the like out")
        comments: list[str] = []
        rows = list(_rows(Path(source), comments))
        if not rows:
            raise DataError(f"{source} has no series after its line '@data'")
        missing = [origin for _, lifetime, origin in rows if lifetime is None]
        if labelled and missing:
            raise DataError(f"{missing[0]} and {len(missing) - 1} more have no label: end the line with ':TIME'")
        schema = SCHEMA.model_copy(update={"targets": {}}) if missing else SCHEMA
        return _examples(rows, schema, comments)

    def stream(self, source: Any, columns: Columns, rows: int) -> Iterator[Examples]:
        """Return the same without labels, `rows` at a time."""
        comments: list[str] = []
        every = _rows(Path(source), comments)
        waiting = list(islice(every, rows))
        while waiting:
            after = list(islice(every, rows))  # first, so that the last rows tell of all comments
            yield _examples(waiting, SCHEMA.model_copy(update={"targets": {}}), comments)
            waiting = after


Row = tuple[list[float], dict[str, Any] | None, str]
"""Measurements, lifetime, origin."""


def _starts_data(line: str) -> bool:
    return line.strip().lower() == "@data"


def _rows(path: Path, comments: list[str]) -> Iterator[Row]:
    """The rows of a file; the places of its comments are put into `comments`."""
    with open(path, encoding="utf-8") as file:
        lines = enumerate(file, start=1)
        next((None for _, line in lines if _starts_data(line)), None)
        for number, line in lines:
            origin = f"{path.name}:{number}"
            if line.startswith("#"):
                comments.append(origin)
            if not line.strip() or line.startswith("#"):
                continue
            values, colon, label = line.strip().partition(":")
            if ":" in label:
                raise DataError(f"{origin} has series of several variables; one is expected")
            try:
                series = [math.nan if value.strip() == "?" else float(value) for value in values.split(",")]
                lifetime = _lifetime(label) if colon else None
            except ValueError as error:
                raise DataError(f"{origin} is not a line of numbers: {error}") from error
            yield series, lifetime, origin


def _lifetime(label: str) -> dict[str, Any]:
    return {"time": float(label.removesuffix("+")), "ended": not label.endswith("+")}


def _examples(rows: list[Row], schema: Schema, comments: list[str]) -> Examples:
    series, lifetimes, origins = zip(*rows)
    columns = {
        "series": pa.array(series, pa.list_(pa.float64())),
        "lifetime": pa.array(lifetimes, LIFETIME),
        "origin": pa.array(origins),
    }
    return Examples(pa.table(columns), schema, tuple(left_out(comments, "lines of comments")))
