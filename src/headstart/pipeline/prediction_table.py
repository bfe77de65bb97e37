"""The table of predictions: frames of some rows at a time, written where nothing else is replaced."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.modality import raws_of
from headstart.contracts.prediction import Prediction
from headstart.contracts.presentation import Presentation, presentation_of
from headstart.contracts.task_capabilities import Remarks, SeveralRows, WritesFiles
from headstart.engine.frozen.infer import Predicted, Predictor
from headstart.kernel.documents import parse_json
from headstart.kernel.errors import DataError, SettingsError
from headstart.kernel.progress import Reporter
from headstart.kernel.regular import open_regular
from headstart.pipeline.destination import (
    require_apart,
    require_apart_from_pictures,
    require_outside_runs,
    require_replaceable,
)
from headstart.pipeline.mask_files import MaskFiles
from headstart.pipeline.run_folder import RunFolder
from headstart.pipeline.unusable import predict_usable, require_kind

ORIGIN, ERROR = "origin", "error"
MOST_INPUTS = 50
"""Input columns that predictions repeat; of more, the origin alone names the row."""


_OURS = re.compile(r"origin|prediction|confidence|file|unlike|set|set size|low|high|error|p_.*|share of .*")


class LinesWriter:
    """JSON Lines: a document for each row, empty cells as null."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:  # noqa: ARG002
        """Open the file."""
        self._file = open(path, "w", encoding="utf-8")  # noqa: SIM115

    def write_table(self, table: pa.Table) -> None:
        """Append rows."""
        self._file.write(lines_of(table.to_pandas()))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


WRITERS = {".csv": pa.csv.CSVWriter, ".jsonl": LinesWriter, ".parquet": pa.parquet.ParquetWriter}
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
        elif file.suffix == ".jsonl":
            with open_regular(file) as content:
                names = list(parse_json(content.readline()))
        else:
            names = list(pd.read_csv(file, nrows=0).columns)
    except (OSError, ValueError, pa.ArrowException):
        return False
    return names[:1] == [ORIGIN] and names[-1:] == [ERROR]


def lines_of(frame: pd.DataFrame) -> str:
    """Each row as a line of JSON; empty cells are null, times as ISO 8601 has them."""
    return str(frame.to_json(orient="records", lines=True, force_ascii=False, double_precision=15, date_format="iso"))


Beside = Callable[[Predicted], Mapping[str, np.ndarray]]
"""Columns (predicted examples,) that stand behind those of the presentation."""


def frames(
    predictor: Predictor,
    chunks: Iterator[Examples],
    masks: MaskFiles | None,
    reporter: Reporter,
    beside: Sequence[Beside] = (),
) -> Iterator[pd.DataFrame]:
    """Frames of predictions, some rows at a time, in the order of the data; the index numbers the examples."""
    said: set[str] = set()
    start = 0
    for examples in chunks:
        if not len(examples):
            continue
        require_kind(predictor.model, examples)
        if masks is not None:
            require_apart_from_pictures(masks.final, examples, "predicted files")
        for remark in _warnings(predictor, examples) - said:
            reporter.say(remark)
            said.add(remark)
        found = _frame(predictor, examples, masks, beside)
        found.index += start
        start += len(examples)
        yield found


def _warnings(predictor: Predictor, examples: Examples) -> set[str]:
    task, backbone = predictor.model.task, predictor.model.backbone
    return {*backbone.doubts(raws_of(examples)), *(task.warnings(examples) if isinstance(task, Remarks) else ())}


def _frame(predictor: Predictor, examples: Examples, masks: MaskFiles | None, beside: Sequence[Beside]) -> pd.DataFrame:
    """One row per example, or as many as its presentation has; where an input is of no use the scores are empty and
    'error' says why. The index has the example of each row."""
    predicted = predict_usable(predictor, examples)
    scores = pd.DataFrame(index=predicted.rows)
    if predicted.prediction is not None:
        shown, done = presentation_of(predictor.model.task), examples.take(predicted.rows)
        repeats, columns = _scores(shown, predicted.prediction)
        if (
            masks is not None
            and isinstance(shown, WritesFiles)
            and (written := masks.write(shown, predicted.prediction, done))
        ):
            columns["file"] = written
        places = np.repeat(np.arange(len(predicted.rows)), repeats)
        for more in beside:
            columns |= {name: values[places] for name, values in more(predicted).items()}
        scores = pd.DataFrame(columns, index=predicted.rows[places])
    frame = pd.DataFrame({ORIGIN: examples.origins()})
    for name in _shown(examples.table, examples.schema):
        ours = _OURS.fullmatch(name) or name in (*frame.columns, *scores.columns)
        frame[f"input {name}" if ours else name] = examples.column(name)
    frame = frame.join(scores)
    frame[ERROR] = [predicted.failures.get(row) for row in frame.index]
    return frame


def _scores(shown: Presentation, prediction: Prediction) -> tuple[np.ndarray, dict[str, Any]]:
    """The number of rows of each example, and their columns."""
    if isinstance(shown, SeveralRows):
        repeats, columns = shown.rows(prediction)
        return repeats, dict(columns)
    return np.ones(len(prediction), np.int64), dict(shown.columns(prediction))


def _shown(table: pa.Table, schema: Schema) -> tuple[str, ...]:
    """The column that names a row, else its inputs, unless these are its origin or cannot be written."""
    if schema.id is not None:
        return (schema.id,)
    if schema.inputs == (schema.origin,) or len(schema.inputs) > MOST_INPUTS:
        return ()
    written = (pa.types.is_string, pa.types.is_large_string, pa.types.is_floating, pa.types.is_temporal)
    return tuple(n for n in schema.inputs if any(is_such(table.schema.field(n).type) for is_such in written))


def write(found: Iterator[pd.DataFrame], table: Path, suffix: str) -> tuple[int, int]:
    """Write the table; how many examples were predicted, and how many could not be.

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
        rows, failed = rows + frame.index.nunique(), failed + int(frame["error"].notna().sum())
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
        if frame[ERROR].isna().any():
            break
    everything = pd.concat(held) if held else None
    if everything is not None:
        yield everything
    yield from frames
