"""predict: a run and new data in, predictions out; a stream of any length, some rows in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.contracts.model import Model
from headstart.engine.infer import Predictor
from headstart.kernel.errors import DataError, SettingsError
from headstart.kernel.files import atomic_path
from headstart.kernel.progress import Quiet, Reporter
from headstart.kernel.settings import Settings
from headstart.product.data import stream_examples
from headstart.product.file_names import FileNames
from headstart.product.run_folder import RunFolder, open_run
from headstart.product.unusable import predict_usable

ROWS_AT_ONCE = 2048
"""Examples held in memory at a time."""

WRITERS = {".csv": pa.csv.CSVWriter, ".parquet": pa.parquet.ParquetWriter}
"""File name suffix -> what writes the predictions."""


class PredictionSummary(Settings):
    """What a prediction to a file came to."""

    rows: int
    """Examples predicted."""
    failed: int
    """Examples that could not be read; their rows say why."""
    out: str
    """The file."""

    def to_json(self) -> dict[str, int | str]:
        """{"rows", "failed", "out"}"""
        return self.model_dump()


def predict(
    run: Path | str | RunFolder,
    data: Any,
    *,
    out: Path | str | None = None,
    format: str | None = None,
    text: str | Sequence[str] = (),
    image: str | None = None,
    reporter: Reporter | None = None,
) -> pd.DataFrame | PredictionSummary:
    """Predict for new data, in their order.

    Args:
        run: a run folder.
        data: whatever `fit` reads, without labels.
        out: a .csv or .parquet file; it appears when all is done, and what is no table, such as masks, in a folder of
            its name beside it. Without it a frame is returned.
        format: how the data lie; recognised without it.
        text, image: input columns, where they are called otherwise than in training.
        reporter: shows progress.

    Returns:
        One row per example: origin, prediction, confidence and scores, and 'error' where the input cannot be read or
        is empty.

    Raises:
        RunError: no finished run. DataError: nothing to predict. SettingsError: `out` has another suffix.
    """
    model = open_run(run).model
    given = {name: value for name, value in Columns(text=text, image=image) if value}
    unlabelled = {"label": None, "group": None, "slices": (), "domain": None, "part": None}
    columns = model.columns.model_copy(update={**unlabelled, **given})
    beside = None if out is None else Path(out).with_suffix("")
    frames = predict_stream(model, data, columns, format, reporter or Quiet(), beside)
    if out is None:
        found = list(frames)
        if not found:
            raise DataError("there is nothing to predict: the data have no rows")
        return pd.concat(found, ignore_index=True)
    return _write(frames, Path(out))


def predict_stream(
    model: Model, data: Any, columns: Columns, format: str | None, reporter: Reporter, beside: Path | None = None
) -> Iterator[pd.DataFrame]:
    """Frames of predictions, some rows at a time, in the order of the data; files go to the folder `beside`."""
    predictor, names = Predictor(model, reporter=reporter), FileNames()
    for examples in stream_examples(data, columns, ROWS_AT_ONCE, format=format):
        if len(examples):
            yield _frame(predictor, examples, beside, names)


def _frame(predictor: Predictor, examples: Examples, beside: Path | None, names: FileNames) -> pd.DataFrame:
    """One row per example; where an input is of no use the scores are empty and 'error' says why."""
    predicted = predict_usable(predictor, examples)
    frame = pd.DataFrame({"origin": examples.origins()})
    if predicted.prediction is not None:
        task, done = predictor.model.task, examples.take(predicted.rows)
        scores = pd.DataFrame(dict(task.rows(predicted.prediction)), index=predicted.rows)
        if beside is not None:
            files = task.files(predicted.prediction, done.raws(), names.of(done.origins()), beside)
            if files:
                scores["file"] = [f"{beside.name}/{file}" for file in files]
        frame = frame.join(scores)
    frame["error"] = [predicted.failures.get(row) for row in range(len(examples))]
    return frame


def _write(frames: Iterator[pd.DataFrame], out: Path) -> PredictionSummary:
    if out.suffix not in WRITERS:
        raise SettingsError(f"predictions are written to {' or '.join(WRITERS)}; got {out.name}")
    rows = failed = 0
    with atomic_path(out) as temporary:
        writer: Any = None
        for frame in _with_scores_first(frames):
            if writer is None:
                schema = _schema(frame)
                writer = WRITERS[out.suffix](temporary, schema)
            table = pa.Table.from_pandas(frame.reindex(columns=schema.names), schema=schema, preserve_index=False)
            writer.write_table(table)
            rows, failed = rows + len(frame), failed + int(frame["error"].notna().sum())
        if writer is None:
            raise DataError("there is nothing to predict: the data have no rows")
        writer.close()
    return PredictionSummary(rows=rows - failed, failed=failed, out=str(out))


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
