"""evaluate: a run judged on labelled data, with intervals; counts how often the run's own test part is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headstart.contracts.baseline import FromScores
from headstart.contracts.examples import Examples
from headstart.contracts.figures import info_of
from headstart.contracts.format import Columns
from headstart.contracts.modality import raws_of
from headstart.contracts.prediction import Prediction
from headstart.contracts.presentation import presentation_of
from headstart.contracts.task import BoundTask, Targets
from headstart.contracts.task_capabilities import Remarks, one_class_each
from headstart.engine.frozen.content_keys import content_keys
from headstart.engine.frozen.infer import Predicted, Predictor
from headstart.evidence.comparison import figures
from headstart.kernel.errors import DataError, SettingsError
from headstart.kernel.progress import Quiet, Reporter
from headstart.pipeline.adapted_prediction import predictor_of
from headstart.pipeline.cut_off import CutOff
from headstart.pipeline.data import NO_SETTINGS, name_of, of_format, reader_of
from headstart.pipeline.destination import require_cache_apart
from headstart.pipeline.histories import cut_histories, format_of, held_out
from headstart.pipeline.judge import compared, rows_of, slice_rows
from headstart.pipeline.kept_reference import told_unlike
from headstart.pipeline.numbers import difference_text, value_text
from headstart.pipeline.own_test_part import count_reading, own_test_part
from headstart.pipeline.prepare import codes, no_longer_read
from headstart.pipeline.record import Comparison, DataIssue, FigureRow, Measured, SliceRow
from headstart.pipeline.run_folder import RunFolder, open_run
from headstart.pipeline.unusable import issues_of, predict_usable
from headstart.pipeline.verdict import against_constant
from headstart.present.report.write import report


class Evaluation(Measured):
    """The result of an evaluation."""

    data: str
    """What was evaluated on."""
    n: int
    """Examples judged."""
    primary_metric: str
    """The metric that the verdict rests on."""
    figures: dict[str, FigureRow]
    """Metric -> figure with its 95 % interval."""
    slices: tuple[SliceRow, ...] = ()
    """Figures of every value of every slice column."""
    worst_slice: str = ""
    """The worst subgroup by the primary metric."""
    unreadable: tuple[DataIssue, ...] = ()
    """Inputs that were left out, and why."""
    test_reads: int
    """How often the run's test part has been read so far."""
    notes: tuple[str, ...] = ()
    """What a reader of the figures must know."""
    test_time: str = ""
    """The adaptation that the figures are with; '' for the model as it is."""
    as_trained: dict[str, FigureRow] = {}
    """The same figures without the adaptation."""
    adaptation: Comparison | None = None
    """With the adaptation against without, on the same examples."""


def evaluate(
    run: Path | str | RunFolder,
    data: Any = None,
    *,
    format: str | None = None,
    text: str | Sequence[str] = (),
    image: str | None = None,
    label: str | Sequence[str] | None = None,
    group: str | None = None,
    slices: str | Sequence[str] = (),
    test_time: str | None = None,
    settings: Mapping[str, Mapping[str, Any]] = NO_SETTINGS,
    reporter: Reporter | None = None,
) -> Evaluation:
    """Judge a run on labelled data; without data, on its own test part again.

    Args:
        run: a run folder.
        data: whatever `fit` reads, with labels of the classes that the run knows.
        format, text, image, label, group, slices: as in `fit`; what is not given is as it was in training.
        test_time, settings: as in `predict`; with an adaptation the figures without it stand beside those with it.
        reporter: shows progress.

    Raises:
        RunError: no finished run. DataError: no usable labelled examples, or labels that the run does not know.
        SettingsError: the model cannot be adapted so.
    """
    run, reporter = open_run(run), reporter or Quiet()
    require_cache_apart(data, run.folder)
    predictor, told = predictor_of(run, test_time, settings.get("test_time", NO_SETTINGS), reporter)
    given = Columns(text=text, image=image, label=label, group=group, slices=slices)
    columns = _columns(run.model.columns, given)
    examples, source, left_out = _read(run, data, format, columns, of_format("evaluate", settings))
    predicted = predict_usable(predictor, examples.unlabelled())
    if predicted.prediction is None:
        raise DataError(f"none of the {len(examples)} inputs can be read: {next(iter(predicted.failures.values()))}")
    judged = examples.take(predicted.rows)
    task = run.model.task
    targets, groups = task.targets(judged), codes(judged, judged.schema.group)
    seed = run.plan.seed
    reads, notes = count_reading(run, content_keys(examples, reporter).keys, report)
    found, worst, rare = slice_rows(task, judged, targets, predicted.prediction, groups, seed)
    rows = rows_of(figures(task.evaluation.metrics, targets, predicted.prediction, groups=groups, seed=seed))
    beside = _beside_majority(task, judged, targets, rows[task.evaluation.primary.name])
    evaluation = Evaluation(
        data=source,
        n=len(judged),
        metrics={metric.name: info_of(metric) for metric in task.evaluation.metrics},
        primary_metric=task.evaluation.primary.name,
        figures=rows,
        slices=found,
        worst_slice=worst,
        unreadable=issues_of(examples, predicted.failures),
        test_reads=reads,
        notes=(*beside, *notes, *left_out, *_about_inputs(run, examples, predicted), *rare),
    )
    if test_time is None:
        return evaluation
    plain = predict_usable(Predictor(run.model, reporter=reporter), judged.unlabelled())
    if plain.prediction is None or plain.failures:
        raise no_longer_read(judged, plain.failures)
    kept = evaluation.model_copy(update={"test_time": test_time, "notes": (*told(), *evaluation.notes)})
    return _beside_plain(kept, task, targets, (predicted.prediction, plain.prediction), groups, seed)


def _beside_plain(
    evaluation: Evaluation,
    task: BoundTask,
    targets: Targets,
    both: tuple[Prediction, Prediction],
    groups: np.ndarray | None,
    seed: int,
) -> Evaluation:
    """The evaluation of an adapted model, whose prediction comes first, beside that of the model as it was trained."""
    adapted, plain = both
    metric = task.evaluation.primary
    before = rows_of(figures(task.evaluation.metrics, targets, plain, groups=groups, seed=seed))
    row = compared("as trained", metric, targets, adapted, plain, groups, seed)
    values = [value_text(metric.unit, rows[metric.name].value) for rows in (evaluation.figures, before)]
    words = f"With --test-time {evaluation.test_time} {metric.title} {values[0]}, without {values[1]}"
    words = f"{words}: {difference_text(metric.unit, row.difference)}, {row.verdict}"
    notes = (words, *evaluation.notes)
    return evaluation.model_copy(update={"as_trained": before, "adaptation": row, "notes": notes})


def _read(
    run: RunFolder, data: Any, format: str | None, columns: Columns, settings: Mapping[str, Any]
) -> tuple[Examples, str, tuple[str, ...]]:
    """The examples, the words for them, and what their reader left out."""
    if data is None:
        if settings:
            raise SettingsError("--set would do nothing, as the run's own test part is read as in training")
        return own_test_part(run, columns), f"the run's own test part of {run.plan.data}", ()
    own = run.plan.settings.get("format", {})
    found, reader = reader_of(data, format or format_of(run.plan), own, settings)
    examples = reader.read(found, columns)
    if not examples.schema.targets:
        cut = cut_histories(examples, run.plan, run.plan.plugin("task"))
        examples = examples if cut is examples else held_out(cut, "test")
    return examples, name_of(data), examples.notes


def _beside_majority(task: BoundTask, examples: Examples, targets: Targets, figure: FigureRow) -> tuple[str, ...]:
    """A sentence where the primary figure is not above that of always answering the most frequent class."""
    if not isinstance(task, FromScores) or not one_class_each(task):
        return ()
    primary, counts = task.evaluation.primary, np.bincount(targets["label"], minlength=task.outputs)
    scores = np.tile(counts / len(examples), (len(examples), 1))
    constant = task.evaluation.finish(task.from_scores(scores, task.inputs(examples)), {})
    title = f"always answering '{presentation_of(task).columns(constant)['prediction'][0]}'"
    words = against_constant(info_of(primary), figure.value, primary.score(targets, constant), title)
    return (f"{primary.title} {value_text(primary.unit, figure.value)} {words}",) if words else ()


def _about_inputs(run: RunFolder, examples: Examples, predicted: Predicted) -> tuple[str, ...]:
    """Return what the model reads of inputs otherwise than expected, and whether they are unlike training's."""
    backbone, unlike = run.model.backbone, told_unlike(run.folder, predicted)
    task = run.model.task
    cut_off = CutOff(backbone, task).look(examples.unlabelled())
    about_labels = task.warnings(examples) if isinstance(task, Remarks) else ()
    return (*unlike, *backbone.doubts(raws_of(examples)), *about_labels, *cut_off.notes())


def _columns(trained: Columns, given: Columns) -> Columns:
    """The columns of training, save those given; the part column plays no role in an evaluation."""
    named = {name: value for name, value in given if value}
    if given.label or given.labels:
        named = {"label": None, "labels": (), "label_form": None, "decimal": None, **named}
    return trained.model_copy(update={"part": None, **named})
