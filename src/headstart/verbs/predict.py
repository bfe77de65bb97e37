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
from headstart.contracts.format import Columns, Gathers
from headstart.contracts.task_capabilities import Remarks, WritesFiles
from headstart.engine.frozen.infer import Predictor
from headstart.kernel.errors import DataError, SettingsError
from headstart.kernel.files import atomic_path
from headstart.kernel.progress import Quiet, Reporter
from headstart.kernel.settings import Settings
from headstart.pipeline.data import reader_of
from headstart.pipeline.destination import (
    require_apart,
    require_apart_from_pictures,
    require_cache_apart,
    require_outside_runs,
    require_replaceable,
)
from headstart.pipeline.mask_files import MaskFiles, mask_files
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
            its name beside it: pictures, and for scans in files of their own such files too. What an earlier prediction
            wrote there is replaced. Without it a frame is returned.
        format: how the data lie; recognised without it.
        text, image: input columns, where they are called otherwise than in training.
        reporter: shows progress.

    Returns:
        One row per example: origin, prediction, confidence and scores, and 'error' where the input cannot be read or
        is empty.

    Raises:
        RunError: no finished run, or `out` lies in one. DataError: nothing to predict. SettingsError: `out` has another
            suffix, is an input or lies among inputs, or it or its folder holds what no prediction wrote.
    """
    opened, reporter = open_run(run), reporter or Quiet()
    require_cache_apart(data, opened.folder)
    if out is not None:
        _require_place_of_table(Path(out), data, opened)
    model = opened.model
    given = {name: value for name, value in Columns(text=text, image=image) if value}
    unlabelled = {"label": None, "group": None, "slices": (), "domain": None, "part": None}
    columns = model.columns.model_copy(update={**unlabelled, **given})
    source, reader = reader_of(data, format, opened.plan.settings.get("format", {}))
    chunks = reader.stream(source, columns, ROWS_AT_ONCE)
    predictor = Predictor(model, reporter=reporter)
    if out is None:
        found = list(_frames(predictor, chunks, None, reporter))
        if not found:
            raise DataError("there is nothing to predict: the data have no rows")
        return pd.concat(found, ignore_index=True)
    out = Path(out)
    if not isinstance(model.task.presentation, WritesFiles):
        with atomic_path(out) as table:
            rows, failed = _write(_frames(predictor, chunks, None, reporter), table, WRITERS[out.suffix])
        return PredictionSummary(rows=rows, failed=failed, out=str(out))
    folder, gathered = out.with_suffix(""), list[Path]()
    require_apart(folder, (data, opened.folder), "masks")
    require_outside_runs(folder, what="masks")
    with atomic_path(out) as table, mask_files(folder) as masks:
        rows, failed = _write(_frames(predictor, chunks, masks, reporter), table, WRITERS[out.suffix])
        if masks.of and isinstance(reader, Gathers):
            gathered = reader.gathered(source, masks.of, masks.folder)
    named = tuple(str(folder / path.relative_to(masks.folder)) for path in gathered)
    return PredictionSummary(rows=rows, failed=failed, out=str(out), gathered=named)


def _require_place_of_table(out: Path, data: Any, run: RunFolder) -> None:
    """Refuse what cannot or must not be written before anything is done. Raises SettingsError or RunError."""
    if out.suffix not in WRITERS:
        raise SettingsError(f"predictions are written to {' or '.join(WRITERS)}; got {out.name}")
    require_apart(out, (data, run.folder), "predictions")
    require_outside_runs(out.parent, what=f"predictions in {out.name}")
    require_replaceable(out, _holds_predictions, "a table of predictions")


def _holds_predictions(file: Path) -> bool:
    """Whether a file is a table as it is written here, by its columns."""
    try:
        if file.suffix == ".parquet":
            names = pa.parquet.read_schema(file).names
        else:
            names = list(pd.read_csv(file, nrows=0).columns)
    except (OSError, ValueError, pa.ArrowException):
        return False
    return names[:1] == ["origin"] and names[-1:] == ["error"]


def _frames(
    predictor: Predictor, chunks: Iterator[Examples], masks: MaskFiles | None, reporter: Reporter
) -> Iterator[pd.DataFrame]:
    """Frames of predictions, some rows at a time, in the order of the data."""
    said: set[str] = set()
    for examples in chunks:
        if not len(examples):
            continue
        if masks is not None:
            require_apart_from_pictures(masks.final, examples, "masks")
        for remark in _warnings(predictor, examples) - said:
            reporter.say(remark)
            said.add(remark)
        yield _frame(predictor, examples, masks)


def _warnings(predictor: Predictor, examples: Examples) -> set[str]:
    task = predictor.model.task
    return set(task.warnings(examples)) if isinstance(task, Remarks) else set()


def _frame(predictor: Predictor, examples: Examples, masks: MaskFiles | None) -> pd.DataFrame:
    """One row per example; where an input is of no use the scores are empty and 'error' says why."""
    predicted = predict_usable(predictor, examples)
    frame = pd.DataFrame({"origin": examples.origins()})
    if predicted.prediction is not None:
        shown, done = predictor.model.task.presentation, examples.take(predicted.rows)
        scores = pd.DataFrame(dict(shown.columns(predicted.prediction)), index=predicted.rows)
        if masks is not None and isinstance(shown, WritesFiles):
            scores["file"] = masks.write(shown, predicted.prediction, done)
        frame = frame.join(scores)
    frame["error"] = [predicted.failures.get(row) for row in range(len(examples))]
    return frame


def _write(frames: Iterator[pd.DataFrame], table: Path, kind: Any) -> tuple[int, int]:
    """Write the table; how many rows were predicted, and how many could not be. Raises DataError without any."""
    rows = failed = 0
    writer: Any = None
    for frame in _with_scores_first(frames):
        if writer is None:
            schema = _schema(frame)
            writer = kind(table, schema)
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
