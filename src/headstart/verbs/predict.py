"""predict: a run and new data in, predictions out; a stream of any length, some rows in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns, Follows, Gathers, in_pieces
from headstart.contracts.presentation import presentation_of
from headstart.contracts.task_capabilities import Covers, WritesFiles
from headstart.engine.frozen.infer import Predicted, Predictor
from headstart.kernel.errors import DataError, SettingsError
from headstart.kernel.files import atomic_path
from headstart.kernel.progress import Quiet, Reporter
from headstart.kernel.settings import Settings
from headstart.pipeline.adapted_prediction import predictor_of
from headstart.pipeline.coverage import scores_of
from headstart.pipeline.cut_off import CutOff
from headstart.pipeline.data import NO_SETTINGS, of_format, reader_of
from headstart.pipeline.destination import require_apart, require_cache_apart, require_outside_runs
from headstart.pipeline.given_inputs import as_list, given_examples, on_disk
from headstart.pipeline.histories import format_of
from headstart.pipeline.kept_reference import LikenessNote
from headstart.pipeline.listing import UNREAD
from headstart.pipeline.mask_files import mask_files
from headstart.pipeline.prediction_table import Beside, frames, require_place_of_table, write
from headstart.pipeline.run_folder import RunFolder, open_run
from headstart.present.report.write import report

ROWS_AT_ONCE = 2048
"""Examples held in memory at a time."""


FRAMES_AT_ONCE = 1
"""Frames of a video in a batch, of which as many run at once as there are cores: each takes tens of MB."""


class PredictionSummary(Settings):
    """Summary of a prediction that was written to a file."""

    rows: int
    """Examples predicted."""
    failed: int
    """Examples that could not be read; their rows say why."""
    out: str
    """The file."""
    gathered: tuple[str, ...] = ()
    """Files that hold the predictions of a whole scan each, beside those of its slices."""
    followed: tuple[str, ...] = ()
    """Files of the tracks in videos: their table, and the videos with them drawn in."""

    def to_json(self) -> dict[str, Any]:
        """{"rows", "failed", "out", "gathered", "followed"}"""
        return self.model_dump(mode="json")


def predict(
    run: Path | str | RunFolder,
    data: Any,
    *,
    out: Path | str | None = None,
    format: str | None = None,
    text: str | Sequence[str] = (),
    image: str | None = None,
    test_time: str | None = None,
    coverage: float | None = None,
    settings: Mapping[str, Mapping[str, Any]] = NO_SETTINGS,
    reporter: Reporter | None = None,
) -> pd.DataFrame | PredictionSummary:
    """Predict for new data, in their order.

    Args:
        run: a run folder.
        data: whatever `fit` reads, without labels; a file with a text on each line; texts or other inputs in a list or
            Series; a text that is not a path; '-' for standard input, as lines of text, JSON or a table with a header.
        out: a .csv, .jsonl or .parquet file, or a folder for predictions.csv; it appears when all is done, and what
            is not a table, such as masks, in a folder of its name beside it: pictures, for scans in files of their own
            such files too, for videos the tracks of boxes and videos with these drawn in. What an earlier prediction
            wrote there is replaced. Without it a frame is returned.
        format: how the data lie; recognised without it.
        text, image: input columns, where they are called otherwise than in training.
        test_time: the model adapts to the inputs: 'adaptive_batch_norm' or 'tent'. The run stays as it is.
        coverage: chance in (0, 1) with which a set of classes or an interval holds the truth, such as 0.9. What
            that takes is measured on the run's validation part the first time, and the share reached on its test part.
        settings: of the format, where they are others than in training, such as {"format": {"table": "Sheet2"}}, and of
            the adaptation, such as {"test_time": {"rate": 0.0005}}.
        reporter: shows progress.

    Returns:
        One row per example: origin, the column that names it or else its input, prediction, confidence and scores,
        'unlike' (whether the input is unlike the training data, where the run can tell), with a coverage "set" or "low"
        and "high", and 'error' where the input cannot be read or is empty.

    Raises:
        RunError: no finished run, or `out` lies in one. DataError: nothing to predict. SettingsError: `out` has another
            suffix, is an input or lies among inputs, or it or its folder holds what no prediction wrote; or the model
            cannot be adapted so.
    """
    opened, reporter = open_run(run), reporter or Quiet()
    if out is not None and not Path(out).suffix:
        out = Path(out, "predictions.csv")
    require_cache_apart(data, opened.folder)
    predictor, notes = predictor_of(opened, test_time, settings.get("test_time", NO_SETTINGS), reporter)
    if out is not None:
        require_place_of_table(Path(out), data, opened)
    model, likeness = predictor.model, LikenessNote.of(opened.folder)
    beside = [*([likeness.columns] if likeness else []), *_covering(opened, coverage, test_time, reporter)]
    given = {name: value for name, value in Columns(text=text, image=image) if value}
    columns = model.columns.model_copy(update={**UNREAD, **given})
    named = {*columns.text, *columns.numeric, *columns.categorical, *columns.date, *filter(None, [columns.image])}
    with on_disk(data, named) as lying:
        handed = given_examples(lying, model)
        if handed is not None:
            stream, gathers, follows = in_pieces(handed, ROWS_AT_ONCE), None, None
        else:
            own = opened.plan.settings.get("format", {})
            source, reader = reader_of(
                as_list(lying), format or format_of(opened.plan), own, of_format("predict", settings)
            )
            stream = reader.stream(source, columns, ROWS_AT_ONCE)
            gathers = partial(reader.gathered, source) if isinstance(reader, Gathers) else None
            follows = partial(reader.followed, source) if isinstance(reader, Follows) else None
            if follows is not None:
                predictor.at_most(FRAMES_AT_ONCE)
                stream = _ahead(stream)
        chunks = _telling(stream, CutOff(model.backbone, model.task), reporter)
        if out is None:
            found: pd.DataFrame | PredictionSummary = _everything(
                frames(predictor, chunks, None, reporter, beside), reporter
            )
        else:
            found = _written(Path(out), predictor, chunks, (data, opened.folder), (gathers, follows), reporter, beside)
    for note in (*notes(), *(likeness.told() if likeness else ())):
        reporter.say(f"{note}.")
    return found


def _covering(run: RunFolder, coverage: float | None, test_time: str | None, reporter: Reporter) -> tuple[Beside, ...]:
    """The columns of sets or intervals that hold the truth with a given chance; none without one."""
    if coverage is None:
        return ()
    if not 0 < coverage < 1:
        raise SettingsError(f"--coverage {coverage:g} is no chance: give a number between 0 and 1, such as 0.9")
    if test_time is not None:
        raise SettingsError("--coverage holds for the model as it was trained: leave --test-time out")
    scores = scores_of(run, reporter, report)
    radius, shown = scores.radius(coverage), presentation_of(run.model.task)
    reporter.say(f"{scores.reached(coverage)}.")

    def columns(predicted: Predicted) -> Mapping[str, np.ndarray]:
        if predicted.prediction is None or not isinstance(shown, Covers):
            return {}
        return shown.within(predicted.prediction, radius)

    return (columns,)


def _everything(found: Iterator[pd.DataFrame], reporter: Reporter) -> pd.DataFrame:
    """All predictions as one frame. Raises DataError where there are none."""
    every = list(found)
    if not every:
        raise DataError("there is nothing to predict: the data have no rows")
    everything = pd.concat(every, ignore_index=True)
    broken = everything[everything["error"].notna()]
    if len(broken):
        first = f"{broken['origin'].iloc[0]} {broken['error'].iloc[0]}"
        reporter.say(f"{len(broken):,} of {len(everything):,} rows could not be predicted, first: {first}.")
    return everything


def _written(
    out: Path,
    predictor: Predictor,
    chunks: Iterator[Examples],
    inputs: tuple[Any, Path],
    joins: tuple[Callable[[Mapping[str, Path], Path], list[Path]] | None, Callable[[Path], list[Path]] | None],
    reporter: Reporter,
    beside: Sequence[Beside],
) -> PredictionSummary:
    """Write the predictions, and masks or boxes in a folder beside them; `joins` puts those of a scan together, and
    those of a video to tracks."""
    shown = presentation_of(predictor.model.task)
    if not isinstance(shown, WritesFiles):
        with atomic_path(out) as table:
            rows, failed = write(frames(predictor, chunks, None, reporter, beside), table, out.suffix)
        return PredictionSummary(rows=rows, failed=failed, out=str(out))
    folder, joined, (gathers, follows) = out.with_suffix(""), list[Path](), joins
    require_apart(folder, inputs, "predicted files")
    require_outside_runs(folder, what="predicted files")
    with atomic_path(out) as table, mask_files(folder) as masks:
        rows, failed = write(frames(predictor, chunks, masks, reporter, beside), table, out.suffix)
        masks.finish(shown)
        if masks.of and gathers is not None:
            joined = gathers(masks.of, masks.folder)
        elif follows is not None:
            joined = follows(masks.folder)
    named = tuple(str(folder / path.relative_to(masks.folder)) for path in joined)
    kind = "gathered" if follows is None else "followed"
    return PredictionSummary.model_validate({"rows": rows, "failed": failed, "out": str(out), kind: named})


def _ahead(chunks: Iterator[Examples]) -> Iterator[Examples]:
    """The chunks, of which the next one is decoded while one is predicted."""
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        coming = pool.submit(next, chunks, None)
        while (chunk := coming.result()) is not None:
            coming = pool.submit(next, chunks, None)
            yield chunk


def _telling(chunks: Iterator[Examples], cut_off: CutOff, reporter: Reporter) -> Iterator[Examples]:
    """The chunks; in the end what their reader left out or assumed is said, and what the backbone does not read."""
    notes: tuple[str, ...] = ()
    for chunk in chunks:
        notes = chunk.notes
        yield chunk
        cut_off.look(chunk)
    for note in (*notes, *cut_off.notes()):
        reporter.say(f"{note}.")
