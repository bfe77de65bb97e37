"""A run's own test part, read again: to evaluate the run, or to tell what a model trained further has forgotten.

For the latter both models are judged on it example by example, so that the interval of the difference is a paired one.
Test examples that the new model learnt from prove nothing; they are named and left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from headstart.contracts.examples import Examples
from headstart.contracts.figures import MetricInfo
from headstart.contracts.format import Columns
from headstart.contracts.model import Model
from headstart.engine.frozen.content_keys import content_keys
from headstart.engine.frozen.infer import Predictor
from headstart.evidence.comparison import UNDECIDED, compare, figures
from headstart.kernel.errors import DataError, HeadstartError, RunError
from headstart.kernel.progress import Reporter
from headstart.pipeline.completion import Present
from headstart.pipeline.histories import cut_histories, format_of
from headstart.pipeline.judge import figure_row, rows_of
from headstart.pipeline.numbers import difference_text, figure_text
from headstart.pipeline.prepare import codes
from headstart.pipeline.record import DataIssue, Forgetting, RunRecord
from headstart.pipeline.run_folder import RunFolder, write_record
from headstart.pipeline.several_domains import read_given
from headstart.pipeline.unusable import predict_usable


def own_test_part(run: RunFolder, columns: Columns) -> Examples:
    """Read what is left of a run's test part. Raises RunError or DataError when its data are gone."""
    try:
        return own_part(run, columns, "test")
    except RunError as error:
        raise RunError(f"{error}: give the data to evaluate on") from error


def own_part(run: RunFolder, columns: Columns, part: str) -> Examples:
    """Read what is left of a part of a run's split: 'train', 'val' or 'test'. Raises as `own_test_part`."""
    for name in (run.plan.data, *run.plan.more_data):
        if name.startswith("<"):
            raise RunError(f"the run's data were handed over in memory ({name})")
        if not Path(name).exists():
            raise RunError(f"the run's data, {name}, are no longer there")
    settings = run.plan.settings.get("format", {})
    examples, _ = read_given(run.plan.source(), columns, format=format_of(run.plan), settings=settings)
    if not examples.schema.targets:
        examples = cut_histories(examples, run.plan, run.plan.plugin("task"))
    keys = content_keys(examples).keys
    rows = [row for row, key in enumerate(keys) if key is not None and run.parts.get(key) == part]
    if not rows:
        raise DataError(f"{run.plan.data} holds none of the run's {part} examples any more")
    return examples.take(np.array(rows))


def count_reading(run: RunFolder, keys: Sequence[str | None], present: Present) -> tuple[int, tuple[str, ...]]:
    """Count a reading of the run's test part when the data hold some of it; `present` then writes its report."""
    seen = Counter(run.parts.get(key, "new") for key in keys if key is not None)
    notes = []
    if seen["train"] + seen["val"]:
        notes.append(
            f"{seen['train'] + seen['val']} of these examples were used in training: their figures are too good."
        )
    if not seen["test"]:
        return run.record.test_reads, tuple(notes)
    record = run.record.model_copy(update={"test_reads": run.record.test_reads + 1})
    write_record(run.folder, record)
    run.record = record
    present(run.folder)
    notes.append(
        f"{seen['test']} of these examples belong to the run's test part, which has now been read {record.test_reads} "
        "times: figures on it are honest only while nothing is chosen by them."
    )
    return record.test_reads, tuple(notes)


def forgetting(
    run: RunFolder, model: Model, leaked: Mapping[str, str], reporter: Reporter, present: Present
) -> Forgetting:
    """Hold the model against the run that it went on from, on that run's test part.

    Args:
        run: the run before.
        model: what became of it.
        leaked: content key -> origin of old test examples that the model learnt from.
        reporter: shows progress. present: writes the report of the run before, which counts this reading.

    Returns:
        The comparison; where the old test examples cannot be had any more, the reason in its notes.
    """
    named = tuple(
        DataIssue(origin=o, reason=f"is a test example of {run.folder} and was trained on") for o in leaked.values()
    )
    nothing = Forgetting(run=str(run.folder), leaked=named)
    try:
        examples = own_test_part(run, run.model.columns.model_copy(update={"part": None}))
        keys = content_keys(examples, reporter).keys
        rows = np.array([row for row, key in enumerate(keys) if key not in leaked], dtype=np.int64)
        if not len(rows):
            raise DataError("this run was trained on all of it that is left")
        found = _compared(nothing, run, model, examples.take(rows), reporter)
    except HeadstartError as error:
        return nothing.model_copy(update={"notes": (str(error),)})
    gone = {key for key, part in run.parts.items() if part == "test"} - set(keys)
    notes = [f"{len(gone)} old test examples are no longer in {run.plan.data}"] if gone else []
    try:
        count_reading(run, [keys[row] for row in rows], present)
    except HeadstartError as error:
        notes.append(f"the test part of {run.folder} was read again, but this could not be noted there: {error}")
    return found.model_copy(update={"notes": tuple(notes)})


def with_forgetting(record: RunRecord, found: Forgetting) -> RunRecord:
    """The record with what was found, and the verdict with a sentence of it."""
    words = in_words(found, record.info(found.metric))
    return record.model_copy(update={"forgetting": found, "verdict": f"{record.verdict} {words}"})


def in_words(found: Forgetting, metric: MetricInfo) -> str:
    """'FORGETTING: accuracy on 40 old test examples of runs/a falls from 95.0 % ... to ...'"""
    if found.difference is None:
        return f"Forgetting unknown: {'; '.join(found.notes)}."
    before, after = (figure_text(metric.unit, figures[found.metric]) for figures in (found.before, found.after))
    change = difference_text(metric.unit, found.difference)
    moved = f"{metric.title} {before} before, {after} after, {change}"
    what = "examples of the kept domain" if found.kept else "old test examples of"
    where = f"on {found.examples} {what} {found.run}"
    if found.verdict == "worse":
        return f"FORGETTING {where}: {moved}."
    words = {"better": "Better", UNDECIDED: "Forgetting undecided"}.get(found.verdict, "No significant forgetting")
    return f"{words} {where}: {moved}."


def _compared(nothing: Forgetting, run: RunFolder, model: Model, examples: Examples, reporter: Reporter) -> Forgetting:
    old, new = (predict_usable(Predictor(which, reporter=reporter), examples) for which in (run.model, model))
    if old.prediction is None or new.prediction is None:
        raise DataError("none of the old test examples can be read any more")
    rows = np.intersect1d(old.rows, new.rows)
    judged, seed = examples.take(rows), run.plan.seed
    groups = codes(judged, judged.schema.group)
    before, after = (f.prediction.take(np.searchsorted(f.rows, rows)) for f in (old, new) if f.prediction is not None)
    was, now = run.model.task.targets(judged), model.task.targets(judged)
    metric, earlier = model.task.evaluation.primary, run.model.task.evaluation.primary
    difference = compare(metric, now, after, before, groups=groups, seed=seed, other_by=(earlier, was))
    return nothing.model_copy(
        update={
            "examples": len(rows),
            "metric": metric.name,
            "before": rows_of(figures(run.model.task.evaluation.metrics, was, before, groups=groups, seed=seed)),
            "after": rows_of(
                figures(model.task.evaluation.metrics, now, after, groups=groups, seed=seed, absent=False)
            ),
            "difference": figure_row(difference.figure),
            "verdict": difference.verdict,
        }
    )
