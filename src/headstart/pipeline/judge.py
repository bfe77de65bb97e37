"""Judging: every arm on the test part, once, with intervals, paired comparisons, slices and what to look at."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from headstart.contracts.examples import Examples, Raw
from headstart.contracts.figures import Figure
from headstart.contracts.metric import Metric
from headstart.contracts.modality import HasPicture, HasSound, Modality, modality_named, raws_of
from headstart.contracts.panels import Outline, Panel
from headstart.contracts.prediction import Prediction
from headstart.contracts.presentation import presentation_of
from headstart.contracts.task import BoundTask, Targets
from headstart.contracts.task_capabilities import SeveralTasks, ShowsFrames
from headstart.evidence.comparison import compare, figures, slice_figures
from headstart.kernel.errors import DataError
from headstart.media.masks import overlay, read_mask, side_by_side
from headstart.pipeline.record import SINGLE, Card, Comparison, FigureRow, SliceRow

MOST_MISTAKES = 24
"""Mistakes that a report shows."""
MOST_SPEAKERS = 30
"""Speakers up to which each has figures of its own without being asked for."""


@dataclass(frozen=True)
class Judged:
    """Results on the test part."""

    figures: Mapping[str, dict[str, FigureRow]]
    """Arm -> metric -> figure."""
    comparisons: tuple[Comparison, ...]
    slices: tuple[SliceRow, ...]
    worst_slice: str
    slice_notes: tuple[str, ...]
    panels: tuple[Panel, ...]
    mistakes: tuple[Card, ...]


def judge(
    task: BoundTask,
    examples: Examples,
    targets: Targets,
    predictions: Mapping[str, Prediction],
    groups: np.ndarray | None,
    seed: int,
) -> Judged:
    """Judge the predictions of every arm, 'model' first, on the same examples."""
    found = {
        key: rows_of(figures(task.evaluation.metrics, targets, p, groups=groups, seed=seed))
        for key, p in predictions.items()
    }
    model = predictions["model"]
    primary = task.evaluation.primary
    comparisons = []
    for key, prediction in predictions.items():
        each = task.primaries.values() if key == SINGLE and isinstance(task, SeveralTasks) else ()
        for metric in (primary, *each) if key != "model" else ():
            comparisons.append(compared(key, metric, targets, model, prediction, groups, seed))
    slices, worst, notes = slice_rows(task, examples, targets, model, groups, seed)
    return Judged(
        found,
        tuple(comparisons),
        slices,
        worst,
        notes,
        (*presentation_of(task).panels(model, targets), *_frames(task, examples, model)),
        cards(task, examples, targets, model),
    )


def _frames(task: BoundTask, examples: Examples, prediction: Prediction) -> tuple[Panel, ...]:
    """Return the longest group of examples that follow in time as the task shows it, where there is one."""
    schema, shown, kind = examples.schema, presentation_of(task), modality_named(examples.schema.modality)
    if schema.time is None or schema.group is None or not isinstance(shown, ShowsFrames):
        return ()
    if not isinstance(kind, HasPicture):
        return ()
    groups, times = examples.column(schema.group), np.array(examples.column(schema.time), np.float64)
    names, counts = np.unique(np.array(groups, dtype=str), return_counts=True)
    longest = str(names[counts.argmax()])
    rows = np.flatnonzero(np.array(groups, dtype=str) == longest)
    rows = rows[np.argsort(times[rows], kind="stable")]
    raws = raws_of(examples, rows)
    try:
        panel = shown.frames(longest, prediction.take(rows), times[rows], lambda place: kind.picture(raws[place]))
    except DataError:  # a frame has become unreadable meanwhile
        return ()
    return () if panel is None else (panel,)


def compared(
    against: str,
    metric: Metric,
    targets: Targets,
    one: Prediction,
    other: Prediction,
    groups: np.ndarray | None,
    seed: int,
) -> Comparison:
    """`one` minus `other`, which is known as `against`, on the same examples, as it is recorded.

    Args:
        groups: (examples,) drawn together; None where none are.
    """
    difference = compare(metric, targets, one, other, groups=groups, seed=seed)
    row = figure_row(difference.figure)
    return Comparison(against=against, metric=metric.name, difference=row, verdict=difference.verdict)


def figure_row(figure: Figure) -> FigureRow:
    """A figure as it is recorded."""
    return FigureRow(**figure.to_json())


def rows_of(found: Mapping[str, Figure]) -> dict[str, FigureRow]:
    """Figures as they are recorded."""
    return {name: figure_row(figure) for name, figure in found.items()}


def slice_rows(
    task: BoundTask, examples: Examples, targets: Targets, prediction: Prediction, groups: np.ndarray | None, seed: int
) -> tuple[tuple[SliceRow, ...], str, tuple[str, ...]]:
    """Return the figures of every domain, every value of every slice column and every speaker, the worst, and notes."""
    rows: list[SliceRow] = []
    worst: list[tuple[float, str]] = []
    notes: list[str] = []
    metric = task.evaluation.primary
    sign = 1 if metric.greater_is_better else -1
    speakers, told = _speakers(examples)
    notes += told
    columns = (examples.schema.domain, *examples.schema.slices, *speakers)
    for column in dict.fromkeys(name for name in columns if name is not None):
        found = slice_figures(task, targets, prediction, examples.column(column), groups=groups, seed=seed)
        rows += [SliceRow(column=column, value=s.value, n=s.n, figures=rows_of(s.figures)) for s in found.slices]
        values = {s.value: s.figures[metric.name].value for s in found.slices if s.figures}
        if found.worst is not None:
            worst.append((sign * values[found.worst], f"{column} = {found.worst}"))
        if found.note:
            notes.append(f"{column}: {found.note}")
    return tuple(rows), min(worst)[1] if worst else "", tuple(notes)


def _speakers(examples: Examples) -> tuple[list[str], list[str]]:
    """The column of the groups of sounds, which are speakers or recordings, where these are few; and a note on many."""
    column = examples.schema.group
    if column is None or not isinstance(modality_named(examples.schema.modality), HasSound):
        return [], []
    count = len(set(examples.column(column)))
    if count > MOST_SPEAKERS:
        return [], [f"{column}: {count} of them are too many for figures of each; --slice {column} shows all the same"]
    return [column] if count > 1 else [], []


def cards(task: BoundTask, examples: Examples, targets: Targets, prediction: Prediction) -> tuple[Card, ...]:
    """The worst predictions with their inputs, as a report shows them."""
    mistakes = presentation_of(task).mistakes(prediction, targets, MOST_MISTAKES)
    chosen = examples.take([mistake.row for mistake in mistakes])
    kind = modality_named(examples.schema.modality)
    shown = zip(mistakes, chosen.origins(), raws_of(chosen))
    return tuple(
        Card(
            **mistake.model_dump(exclude={"masks", "boxes"}),
            origin=origin,
            **shown_input(kind, raw, mistake.masks, mistake.boxes),
        )
        for mistake, origin, raw in shown
    )


def shown_input(kind: Modality, raw: Raw, masks: Sequence[str] = (), boxes: Sequence[Outline] = ()) -> dict[str, str]:
    """Return an input as pages show it: {"thumbnail": data URI} of a picture, else {"text": words}, and {"sound": data
    URI} beside them where it can be heard."""
    if isinstance(kind, HasPicture):
        return {"thumbnail": _thumbnail(kind, raw, masks, boxes)}
    if isinstance(kind, HasSound):
        return {"text": kind.preview(raw), "sound": _sound(kind, raw)}
    return {"text": kind.preview(raw)}


def _sound(kind: HasSound, raw: Raw) -> str:
    """A data URI of its first seconds; empty when it has become unreadable meanwhile."""
    try:
        return "data:audio/mpeg;base64," + base64.b64encode(kind.heard(raw)).decode()
    except DataError:
        return ""


def _thumbnail(kind: HasPicture, raw: Raw, masks: Sequence[str], boxes: Sequence[Outline]) -> str:
    """A data URI of a JPEG of at most 144 pixels, twice that with boxes, and with masks one beside the other under each
    of them.

    Empty when the picture has become unreadable meanwhile.
    """
    side = 288 if boxes else 144
    try:
        image = kind.picture(raw, at_least=None if masks else side)
    except DataError:
        return ""
    if masks:
        image = side_by_side([overlay(image, read_mask(base64.b64decode(mask)).values) for mask in masks])
    if max(image.size) < 48:
        image = image.resize((image.width * 4, image.height * 4), resample=0)
    image.thumbnail((side * max(1, len(masks)), side))
    if boxes:
        image = outlined(image, boxes)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=72)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def outlined(image: Image.Image, boxes: Sequence[Outline]) -> Image.Image:
    """The picture with boxes drawn over it."""
    drawn, (width, height) = image.convert("RGB"), image.size
    pen = ImageDraw.Draw(drawn)
    for box in boxes:
        corners = box.left * (width - 1), box.top * (height - 1), box.right * (width - 1), box.bottom * (height - 1)
        pen.rectangle(corners, outline=box.colour, width=2)
    return drawn
