"""The table of predictions: frames of some rows at a time, written where nothing else is replaced."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from headstart.contracts.examples import Examples
from headstart.contracts.presentation import presentation_of
from headstart.contracts.task_capabilities import Remarks, WritesFiles
from headstart.engine.frozen.infer import Predictor
from headstart.kernel.errors import DataError, SettingsError
from headstart.kernel.progress import Reporter
from headstart.pipeline.destination import (
    require_apart,
    require_apart_from_pictures,
    require_outside_runs,
    require_replaceable,
)
from headstart.pipeline.mask_files import MaskFiles
from headstart.pipeline.run_folder import RunFolder
from headstart.pipeline.unusable import predict_usable, require_kind

WRITERS = {".csv": pa.csv.CSVWriter, ".parquet": pa.parquet.ParquetWriter}
"""File name suffix -> what writes the predictions."""


def require_place_of_table(out: Path, data: Any, run: RunFolder) -> None:
    """Refuse what cannot or must not be written before anything is done. Raises SettingsError or RunError."""
    if out.suffix not in WRITERS:
        raise SettingsError(f"predictions are written to {' or '.join(WRITERS)}; got {out.name}")
    require_apart(out, (data, run.folder), "predictions")
    require_outside_runs(out.parent, what=f"predictions in {out.name}")
    require_replaceable(out, _holds_predictions, "a table of predictions")


def _holds_predictions(file: Path) -> bool:
    """True for a table as it is written here, by its columns."""
    try:
        if file.suffix == ".parquet":
            names = pa.parquet.read_schema(file).names
        else:
            names = list(pd.read_csv(file, nrows=0).columns)
    except (OSError, ValueError, pa.ArrowException):
        return False
    return names[:1] == ["origin"] and names[-1:] == ["error"]


def frames(
    predictor: Predictor, chunks: Iterator[Examples], masks: MaskFiles | None, reporter: Reporter
) -> Iterator[pd.DataFrame]:
    """Frames of predictions, some rows at a time, in the order of the data."""
    said: set[str] = set()
    for examples in chunks:
        if not len(examples):
            continue
        require_kind(predictor.model, examples)
        if masks is not None:
            require_apart_from_pictures(masks.final, examples, "masks")
        for remark in _warnings(predictor, examples) - said:
            reporter.say(remark)
            said.add(remark)
        yield _frame(predictor, examples, masks)


def _warnings(predictor: Predictor, examples: Examples) -> set[str]:
    task, backbone = predictor.model.task, predictor.model.backbone
    return {*backbone.doubts(examples.raws()), *(task.warnings(examples) if isinstance(task, Remarks) else ())}


def _frame(predictor: Predictor, examples: Examples, masks: MaskFiles | None) -> pd.DataFrame:
    """One row per example; where an input is of no use the scores are empty and 'error' says why."""
    predicted = predict_usable(predictor, examples)
    frame = pd.DataFrame({"origin": examples.origins()})
    if predicted.prediction is not None:
        shown, done = presentation_of(predictor.model.task), examples.take(predicted.rows)
        scores = pd.DataFrame(dict(shown.columns(predicted.prediction)), index=predicted.rows)
        if masks is not None and isinstance(shown, WritesFiles):
            scores["file"] = masks.write(shown, predicted.prediction, done)
        frame = frame.join(scores)
    frame["error"] = [predicted.failures.get(row) for row in range(len(examples))]
    return frame


def write(found: Iterator[pd.DataFrame], table: Path, suffix: str) -> tuple[int, int]:
    """Write the table; how many rows were predicted, and how many could not be.

    Raises:
        DataError: there are no rows.
    """
    rows = failed = 0
    writer: Any = None
    for frame in _with_scores_first(found):
        if writer is None:
            schema = _schema(frame)
            writer = WRITERS[suffix](table, schema)
        written = pa.Table.from_pandas(frame.reindex(columns=schema.names), schema=schema, preserve_index=False)
        writer.write_table(written)
        rows, failed = rows + len(frame), failed + int(frame["error"].notna().sum())
    if writer is None:
        raise DataError("there is nothing to predict: the data have no rows")
    writer.close()
    return rows - failed, failed


def _schema(frame: pd.DataFrame) -> pa.Schema:
    inferred = pa.Schema.from_pandas(frame, preserve_index=False)
    return inferred.set(inferred.get_field_index("error"), pa.field("error", pa.string()))


def _with_scores_first(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """The same frames, where leading ones that failed whole are held back until one with scores has set the columns."""
    held: list[pd.DataFrame] = []
    for frame in frames:
        held.append(frame)
        if len(frame.columns) > 2:
            break
    everything = pd.concat(held, ignore_index=True) if held else None
    if everything is not None:
        yield everything
    yield from frames
