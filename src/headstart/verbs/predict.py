"""predict: a run and new data in, predictions out; a stream of any length, some rows in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from headstart.contracts.carriers import Prediction
from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns, Gathers
from headstart.contracts.task import Task
from headstart.engine.frozen.infer import Predictor
from headstart.kernel.errors import DataError, SettingsError
from headstart.kernel.files import atomic_path
from headstart.kernel.progress import Quiet, Reporter
from headstart.kernel.settings import Settings
from headstart.pipeline.data import reader_of
from headstart.pipeline.file_names import FileNames
from headstart.pipeline.run_folder import RunFolder, open_run
from headstart.pipeline.unusable import predict_usable

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
    gathered: tuple[str, ...] = ()
    """Files that hold the predictions of a whole scan each, beside those of its slices."""

    def to_json(self) -> dict[str, Any]:
        """{"rows", "failed", "out", "gathered"}"""
        return self.model_dump(mode="json")


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
            its name beside it: pictures, and for scans in files of their own such files too. Without it a frame is
            returned.
        format: how the data lie; recognised without it.
        text, image: input columns, where they are called otherwise than in training.
        reporter: shows progress.

    Returns:
        One row per example: origin, prediction, confidence and scores, and 'error' where the input cannot be read or
        is empty.

    Raises:
        RunError: no finished run. DataError: nothing to predict. SettingsError: `out` has another suffix.
    """
    opened, reporter = open_run(run), reporter or Quiet()
    model = opened.model
    given = {name: value for name, value in Columns(text=text, image=image) if value}
    unlabelled = {"label": None, "group": None, "slices": (), "domain": None, "part": None}
    columns = model.columns.model_copy(update={**unlabelled, **given})
    source, reader = reader_of(data, format, opened.plan.settings.get("format", {}))
    beside = None if out is None else Beside(Path(out).with_suffix(""))
    frames = _frames(
        Predictor(model, reporter=reporter), reader.stream(source, columns, ROWS_AT_ONCE), beside, reporter
    )
    if out is None:
        found = list(frames)
        if not found:
            raise DataError("there is nothing to predict: the data have no rows")
        return pd.concat(found, ignore_index=True)
    summary = _write(frames, Path(out))
    if beside is not None and beside.files and isinstance(reader, Gathers):
        gathered = reader.gathered(source, beside.files, beside.folder)
        return summary.model_copy(update={"gathered": tuple(str(path) for path in gathered)})
    return summary


class Beside:
    """Files of predictions in a folder beside their table."""

    def __init__(self, folder: Path) -> None:
        """None is written yet."""
        self.folder = folder
        self.files: dict[str, Path] = {}
        """Origin -> file."""
        self._names = FileNames()

    def write(self, task: Task, prediction: Prediction, examples: Examples) -> list[str]:
        """Those of some examples, as the table names them; none where the task has none."""
        origins = examples.origins()
        written = task.files(prediction, examples.raws(), self._names.of(origins), self.folder)
        self.files |= {origin: self.folder / file for origin, file in zip(origins, written)}
        return [f"{self.folder.name}/{file}" for file in written]


def _frames(
    predictor: Predictor, chunks: Iterator[Examples], beside: Beside | None, reporter: Reporter
) -> Iterator[pd.DataFrame]:
    """Frames of predictions, some rows at a time, in the order of the data."""
    said: set[str] = set()
    for examples in chunks:
        if not len(examples):
            continue
        for remark in set(predictor.model.task.warnings(examples)) - said:
            reporter.say(remark)
            said.add(remark)
        yield _frame(predictor, examples, beside)


def _frame(predictor: Predictor, examples: Examples, beside: Beside | None) -> pd.DataFrame:
    """One row per example; where an input is of no use the scores are empty and 'error' says why."""
    predicted = predict_usable(predictor, examples)
    frame = pd.DataFrame({"origin": examples.origins()})
    if predicted.prediction is not None:
        task, done = predictor.model.task, examples.take(predicted.rows)
        scores = pd.DataFrame(dict(task.rows(predicted.prediction)), index=predicted.rows)
        if beside is not None:
            files = beside.write(task, predicted.prediction, done)
            if files:
                scores["file"] = files
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
